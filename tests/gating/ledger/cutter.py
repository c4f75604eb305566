"""A wire between a client and PostgreSQL that can be cut or held: what a network does to whoever trusts it."""

import contextlib
import socket
import threading

COMMIT = b"COMMIT\0"


def through(wire, url):
    """The same database, by the wire."""
    return f"postgresql://postgres@127.0.0.1:{wire.port}/{url.rpartition('/')[2]}"


class Wire:
    """Listens on `port` and passes bytes on to `target`. Faults are set by attribute, for all connections at once.

    cut_commit: pass the next COMMIT on, swallow its answer, and end the connection.
    refuse: end whatever comes.
    hold: pass nothing on any more, in either direction, and say nothing.
    """

    def __init__(self, target):
        self.target = target
        self.cut_commit = self.refuse = False
        self.passing = threading.Event()
        self.passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        self.passing.clear()

    def close(self):
        self.passing.set()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuse:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target))
                self._open += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source, target, from_client):
        try:
            while chunk := source.recv(65536):
                self.passing.wait()
                if self.refuse:
                    break
                if from_client and self.cut_commit and COMMIT in chunk:
                    self.cut_commit = False
                    self._commit_and_cut(chunk, source, target)
                    return
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            for one in (source, target):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _commit_and_cut(self, chunk, client, server):
        """The server is left alone until it has ended its side: it has then done what it was sent."""
        client.shutdown(socket.SHUT_RDWR)
        server.sendall(chunk)
        server.shutdown(socket.SHUT_WR)
