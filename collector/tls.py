"""TLS: the public port's certificate, where no proxy in front of the worker has one.

Made by worker.py at its start, which has it look for renewed files once a second. Cost and limits: docs/tls.md.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from collector.errors import SettingInvalid

HANDSHAKE_SECONDS: Final = 10.0
"""From a connection's start to the end of its handshake: as long as a head may take (limits.py). nginx gives 60."""
GOODBYE_SECONDS: Final = 5.0
"""How long a client may take to answer our close_notify; nobody owes one (RFC 8446 section 6.1)."""

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate with its chain and key, in PEM, as TLS offers it to whoever connects next.

    path: the chain, leaf first; key: None where the same file holds it. Raises SettingInvalid where either cannot be
    read, or they do not belong together.
    """

    def __init__(self, path: Path, key: Path | None) -> None:
        self._path, self._key = path, key
        self._stamp = self._stat()
        self.context = self._read()
        # OpenSSL asks at each handshake, so a renewed certificate needs no new listener. Reading it into the context
        # that serves would not do: one that does not fit its key takes the old key away.
        self._current = self.context
        self.context.sni_callback = self._choose

    def refresh(self) -> bool:
        """Take renewed files over for the handshakes to come; tell whether there were any.

        Raises SettingInvalid for files that cannot be taken, once for each time they change; the old ones go on.
        """
        stamp = self._stat()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self._current = self._read()
        return True

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._current is not self.context:
            connection.context = self._current

    def _stat(self) -> _Stamp:
        try:
            files = [one.stat() for one in (self._path, self._key) if one is not None]
        except OSError:
            return ()  # in the midst of being renewed, or gone: `_read` says which
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in files)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 takes the older ones out of use
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        for path in (self._path, self._key):
            if path is not None and not path.is_file():
                raise SettingInvalid(_setting_of(path, self._key), f"{path} is no file")
        try:
            # A key that wants a passphrase is refused: nobody is there to give it.
            context.load_cert_chain(self._path, self._key, password=_no_passphrase)
        except (ssl.SSLError, OSError, ValueError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise SettingInvalid("PIXELGATE_TLS_CERTIFICATE", f"{self._path} cannot be used: {why}") from error
        return context


def certificate_of(path: Path | None, key: Path | None) -> Certificate | None:
    """What a worker's settings name, None for plain HTTP. Raises SettingInvalid."""
    if path is not None:
        return Certificate(path, key)
    if key is not None:
        raise SettingInvalid("PIXELGATE_TLS_KEY", "a key without a certificate: set PIXELGATE_TLS_CERTIFICATE too")
    return None


def _setting_of(path: Path, key: Path | None) -> str:
    return "PIXELGATE_TLS_KEY" if path is key else "PIXELGATE_TLS_CERTIFICATE"


def _no_passphrase() -> str:
    raise ValueError("its key has a passphrase; give one without")


class Loop(uvloop.Loop):
    """uvloop, with shorter times for TLS than its 60 and 30 s, which uvicorn has no setting for."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """Listen, with our time-outs where that is by TLS."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_handshake_timeout", HANDSHAKE_SECONDS)
            options.setdefault("ssl_shutdown_timeout", GOODBYE_SECONDS)
        return cast("asyncio.Server", await super().create_server(*arguments, **options))


LoopFactory = Callable[[], asyncio.AbstractEventLoop]
