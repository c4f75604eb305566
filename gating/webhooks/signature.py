"""Signatures: whether a body was signed by the provider, and now. Pure; called by `receive.py` on each request.

Both providers sign `timestamp, separator, body` with HMAC-SHA256 and send the hex digest, one for each secret that is
in force while secrets are rolled:

- Stripe: `Stripe-Signature: t=1492774577,v1=5257a8...,v0=6ffbb5...`; the separator is a full stop. Other schemes than
  v1 are to be ignored, or a weaker one could be slipped in (docs.stripe.com/webhooks#verify-manually).
- Paddle Billing: `Paddle-Signature: ts=1671552777;h1=eb4d0d...`; the separator is a colon
  (developer.paddle.com/webhooks/signature-verification).

Each attempt is signed anew with its own time, so a retry days later is fresh. The time is checked on both sides: a body
that was caught and is sent again later is refused, and so is one that was signed ahead.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TOLERANCE_SECONDS: Final = 300
"""Stripe's own libraries' default. Paddle's take 5 s, which a clock without NTP or a queue in front of us breaks."""
HEADER_CHARACTERS_MAX: Final = 2_048
SIGNATURES_MAX: Final = 16
"""In one header; providers send one for each secret in force, two while one is rolled."""

_DIGITS: Final = re.compile(r"[0-9]{1,12}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a provider writes it: the header, what parts it, the names of time and signature, what joins time to body."""

    header: str
    between: str
    time: str
    signature: str
    joint: bytes


SCHEMES: Final = {
    "stripe": Scheme("stripe-signature", ",", "t", "v1", b"."),
    "paddle": Scheme("paddle-signature", ";", "ts", "h1", b":"),
}


class SignatureRefused(Exception):
    """The body is not the provider's, or not of now. The message names no secret and quotes nothing."""


def verify(scheme: Scheme, header: str | None, body: bytes, secrets: Sequence[str], now_seconds: float) -> None:
    """Return where one signature is by one of the secrets and its time is within TOLERANCE_SECONDS of now.

    Raises SignatureRefused. Digests are compared in constant time, and all of them, whichever fits.
    """
    text, signatures = _parsed(scheme, header)
    fits = False
    for secret in secrets:
        signed = hmac.new(secret.encode(), text.encode() + scheme.joint + body, hashlib.sha256).hexdigest()
        for signature in signatures:
            fits |= hmac.compare_digest(signed, signature)
    if not fits:
        raise SignatureRefused(f"no {scheme.signature} signature fits the body and the secrets that are set")
    off_seconds = int(text) - now_seconds
    if abs(off_seconds) > TOLERANCE_SECONDS:
        side = "ahead of" if off_seconds > 0 else "behind"
        raise SignatureRefused(f"signed more than {TOLERANCE_SECONDS} s {side} this host's clock")


def sign(scheme: Scheme, body: bytes, secret: str, at_seconds: int) -> str:
    """The header as the provider would send it."""
    text = str(at_seconds)
    digest = hmac.new(secret.encode(), text.encode() + scheme.joint + body, hashlib.sha256).hexdigest()
    return f"{scheme.time}={text}{scheme.between}{scheme.signature}={digest}"


def _parsed(scheme: Scheme, header: str | None) -> tuple[str, list[str]]:
    """The time as it was written, and the signatures of the one scheme that counts."""
    if not header:
        raise SignatureRefused(f"there is no {scheme.header} header")
    if len(header) > HEADER_CHARACTERS_MAX:
        raise SignatureRefused(f"the {scheme.header} header has more than {HEADER_CHARACTERS_MAX} characters")
    parts = [part.strip().partition("=") for part in header.split(scheme.between)]
    times = [value for name, _, value in parts if name == scheme.time]
    signatures = [value for name, _, value in parts if name == scheme.signature]
    if len(times) != 1 or not _DIGITS.fullmatch(times[0]):
        raise SignatureRefused(f"the {scheme.header} header has no single time {scheme.time}=SECONDS")
    signatures = [signature for signature in signatures if _DIGEST.fullmatch(signature)]
    if not 0 < len(signatures) <= SIGNATURES_MAX:
        raise SignatureRefused(f"the {scheme.header} header has no signature {scheme.signature}=HEX")
    return times[0], signatures
