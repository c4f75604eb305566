"""A receiver of outgoing webhooks on a port of its own, that answers as a test has it; and certificates for one."""

import contextlib
import json
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Receiver:
    """`got`: (webhook-id, event) as they came. answer: from the event to a status, or (status, headers); may wait."""

    def __init__(self, answer=lambda _: 204, tls=None):
        self.got, self.answer, self.released = [], answer, threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append((self.headers["webhook-id"], event))
                answered = receiver.answer(event)
                status, headers = answered if isinstance(answered, tuple) else (answered, {})
                with contextlib.suppress(OSError):  # whoever asked may be dead by now
                    self.send_response(status)
                    for name, value in {**headers, "content-length": "0"}.items():
                        self.send_header(name, value)
                    self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a handshake that was broken off is the test's own
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'' if tls is None else 's'}://127.0.0.1:{self._server.server_address[1]}/in"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def hang(self, _):
        """An answer for `answer`: none, until the test releases it."""
        self.released.wait(60)
        return 204

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def of(self, account, kind=None):
        return [
            (key, event)
            for key, event in list(self.got)
            if event["data"]["account"] == account and kind in (None, event["type"])
        ]


def certificate(folder, name):
    """(a server's TLS for 127.0.0.1, the authority's file): self-made, as `openssl` makes it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the test's certificate")
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    subject = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    subprocess.run([*made, "-keyout", key, "-out", file], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file
