"""TLS of the ways out: whose certificates a receiver and a mail server may show.

Made once at start: reading a host's whole list of authorities at each delivery would hold flips up.
"""

import ssl
from pathlib import Path

import httpx

from gating.errors import InputInvalid


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Certificates are checked, names too. authorities: a PEM file of those that count beside the public ones.

    Raises InputInvalid where it holds none.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=authorities)
        except (OSError, ssl.SSLError) as error:
            raise InputInvalid(f"PIXELGATE_EFFECTS_CA: {authorities} holds no certificate that reads") from error
    return context
