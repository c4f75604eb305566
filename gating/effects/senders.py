"""The ways out: e-mail by SMTP, a signed webhook, a file of JSON lines. Each raises NotSent without secrets in it.

The webhook is signed as Standard Webhooks describe (specification, "Signature scheme"): HMAC-SHA256 over
`id.timestamp.body`, base64, in `webhook-signature: v1,...`; a secret beginning with `whsec_` is base64.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import ssl
import time
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx
import orjson

from gating.effects.protocol import NotSent
from gating.effects.tls import tls_context
from gating.errors import InputInvalid

SEND_SECONDS: Final = 15.0
"""One try: Standard Webhooks advises 15 to 30 s."""
BODY_BYTES_MAX: Final = 64 * 1024
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
SECRET_BYTES_MIN: Final = 24  # Standard Webhooks: between 24 and 64


class File:
    """One JSON line an event, durable before it counts as sent; readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, key: str, event: Mapping[str, Any]) -> None:
        line = orjson.dumps({"id": key, **event}) + b"\n"
        await asyncio.to_thread(self._append, line)

    def _append(self, line: bytes) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                written = os.write(handle, line)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise NotSent(f"the notices' file cannot be written: {error.strerror}") from error
        if written != len(line):
            raise NotSent("the notices' file took only part of a line: the disk is full")


class Webhook:
    """Posts to one address; follows no redirect, reads no answer's body."""

    def __init__(
        self, url: str, secret: str, tls: ssl.SSLContext | None = None, *, seconds: float = SEND_SECONDS
    ) -> None:
        """tls: of tls.py; None: the public authorities alone. seconds: one try's. Raises InputInvalid for an address
        that is not http(s), and a secret that is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputInvalid("PIXELGATE_WEBHOOK_URL must be an address that begins with https:// or http://")
        self._url, self._secret = url, _secret_of(secret)
        self._tls = tls_context(None) if tls is None else tls
        self._seconds = seconds

    async def send(self, key: str, event: Mapping[str, Any]) -> None:
        body = orjson.dumps(event)
        if len(body) > BODY_BYTES_MAX:
            raise NotSent(f"the event has {len(body)} bytes, at most {BODY_BYTES_MAX} are sent")
        stamp = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(self._secret, key, stamp, body),
        }
        try:
            async with (
                asyncio.timeout(self._seconds),  # httpx bounds each of its steps, not the whole
                httpx.AsyncClient(
                    verify=self._tls, timeout=self._seconds, follow_redirects=False, trust_env=False
                ) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except TimeoutError as error:
            raise NotSent(f"the webhook's receiver did not answer within {self._seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotSent(f"the webhook's receiver cannot be reached ({type(error).__name__})") from error
        if not 200 <= status < 300:
            raise NotSent(f"the webhook's receiver answered {status}")


class Mail:
    """Sends by one SMTP server. smtps:// is TLS from the start; smtp:// upgrades by STARTTLS, and must where there is a
    password and the server is not on this host."""

    def __init__(self, url: str, sender: str, tls: ssl.SSLContext | None = None) -> None:
        """tls: of tls.py; None: the public authorities alone. Raises InputInvalid for what is no SMTP address, or no
        sender."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InputInvalid("PIXELGATE_SMTP_URL has no port that reads") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise InputInvalid("PIXELGATE_SMTP_URL must read smtps://user:password@host:465 or smtp://host:587")
        if not is_address(sender):
            raise InputInvalid("PIXELGATE_MAIL_FROM must be one e-mail address where PIXELGATE_SMTP_URL is set")
        from_start = parts.scheme == "smtps"
        must_upgrade = parts.password is not None and parts.hostname not in LOOPBACK
        self._sender = sender
        self._how: dict[str, Any] = {
            "hostname": parts.hostname,
            "port": port or (465 if from_start else 587),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": from_start,
            "tls_context": tls_context(None) if tls is None else tls,
            "start_tls": False if from_start else (True if must_upgrade else None),
            "timeout": SEND_SECONDS,
        }

    async def mail(self, key: str, to: str, subject: str, body: str) -> None:
        """Send one plain-text mail to one address. Its Message-ID is made of the key. Raises NotSent."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, one_line(subject)
        message["Message-ID"] = f"<{key}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
        try:
            await aiosmtplib.send(message, **self._how)
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"the mail server answered {error.code}") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(str(refused.code) for refused in error.recipients)
            raise NotSent(f"the mail server refused the recipient: {codes}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(f"the mail server cannot be used ({type(error).__name__})") from error


def signature(secret: bytes, key: str, stamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = b".".join((key.encode(), stamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def is_address(text: str) -> bool:
    """Tell whether a text can stand in a mail's header as one address: one `@`, no space or control character."""
    local, _, domain = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ,;:<>()[]"\\')
    return bool(local and domain and "@" not in local) and plain and len(text) <= 254


def one_line(text: str) -> str:
    """The text fit for a header: whatever ends a line or is not printable becomes a space."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]


def _secret_of(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        found = secret.encode()
    else:
        try:
            found = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputInvalid("PIXELGATE_WEBHOOK_SECRET begins with whsec_ and is no base64 after it") from error
    if len(found) < SECRET_BYTES_MIN:
        raise InputInvalid(f"PIXELGATE_WEBHOOK_SECRET must have {SECRET_BYTES_MIN} bytes or more")
    return found
