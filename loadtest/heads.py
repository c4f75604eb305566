"""Request heads as browsers fire them at a pixel: seeded, so that every run and every machine sends the same bytes.

Called by the benchmark; `traffic/` makes visitors' sessions of the same parts. Pure: a seed, a count and the write keys
in, bytes out; it opens no socket and no file.
"""

import string
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final
from urllib.parse import quote

from loadtest.browsers import SHAPES, Header, Visit

HOST: Final = "px.example.net"
HEADS: Final = 512
"""How many heads a run cycles through: enough that no branch predictor learns them, few enough to stay in a cache."""

SITES: Final = (
    "https://www.example-shop.com",
    "https://blog.garden-and-home.example",
    "https://news.daily-ledger.example",
    "https://app.invoices.example",
    "https://docs.sensorkit.example",
    "https://www.reisebuero-muenchen.example",
    "https://store.px.example.net",
    "https://forum.cyclists.example",
)
PATHS: Final = (
    "/",
    "/pricing",
    "/products/alpine-tent-2p",
    "/products/lamp?variant=4412",
    "/blog/2025/03/how-we-cut-our-build-times",
    "/category/outdoor/shoes?page=3&sort=price_asc",
    "/checkout/step-2",
    "/search?q=blaue+schuhe",
    "/docs/getting-started/install",
    "/account/settings/notifications",
    "/artikel/größen-tabelle",
    "/thread/48213-winter-tyres?highlight=studded",
)
REFERRERS: Final = (
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://www.bing.com/search?q=alpine+tent",
    "https://news.ycombinator.com/item?id=40211001",
    "https://t.co/9fKq2LmZ",
    "android-app://com.google.android.googlequicksearchbox/",
)
EVENTS: Final = ("page_view", "page_view", "page_view", "click", "scroll", "add_to_cart", "sign_up", "video_play")
SOURCES: Final = ("newsletter", "google", "facebook", "partner-42")
SCREENS: Final = ("1920x1080", "1536x864", "1440x900", "390x844", "412x915", "2560x1440", "820x1180")
ZONES: Final = ("Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Tokyo", "Europe/London")
KEY_LETTERS: Final = string.ascii_letters + string.digits
START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z: the clients' clocks start here


def heads(seed: int, count: int, keys: Sequence[str], *, close: bool = False) -> list[bytes]:
    """Write `count` request heads, each a whole GET of a pixel with its final empty line.

    keys: the write keys the hits carry, drawn evenly. close: each asks for its connection to be closed; the heads of
    one seed then differ in that header alone.
    """
    random = Random(seed)
    weights = [weight for weight, _ in SHAPES]
    shapes = [shape for _, shape in SHAPES]
    written = []
    for at in range(count):
        shape = random.choices(shapes, weights)[0]
        origin = random.choice(SITES)
        page = origin + quote(random.choice(PATHS), safe="/?&=+")
        visit = Visit(
            host=HOST,
            connection="close" if close else "keep-alive",
            origin=origin,
            page=page,
            same_site=origin.endswith(HOST),
            cookie=cookie(random) if random.random() < 0.3 else None,
        )
        target = f"/p/{random.choice(keys)}.gif?{_query(random, page, START_MS + at * 37)}"
        written.append(_head(target, shape(random, visit)))
    return written


def made_up_keys(seed: int, count: int) -> list[str]:
    """Return write keys for a gate that is filled by hand: 22 characters, as 128 random bits are written."""
    random = Random(seed)
    return ["".join(random.choices(KEY_LETTERS, k=22)) for _ in range(count)]


def _head(target: str, headers: Sequence[Header]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _query(random: Random, page: str, client_ms: int) -> str:
    return encode(fields(random, page, client_ms))


def encode(params: Iterable[tuple[str, str]]) -> str:
    """Write a query as browsers' `encodeURIComponent` does."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in params)


def fields(random: Random, page: str, client_ms: int) -> list[tuple[str, str]]:
    """Draw the snippet's parameters in its order, then the extras that sites add."""
    params = [("e", random.choice(EVENTS)), ("u", page)]
    if random.random() < 0.5:
        params.append(("r", random.choice(REFERRERS)))
    params.append(("v", f"{random.getrandbits(128):032x}"))
    if random.random() < 0.25:
        params.append(("uid", f"user-{random.randrange(1, 200_000)}"))
    params.append(("t", str(client_ms)))
    if random.random() < 0.5:
        params += [("sw", random.choice(SCREENS)), ("tz", random.choice(ZONES))]
    if random.random() < 0.2:
        params += [("utm_source", random.choice(SOURCES)), ("utm_campaign", f"spring sale {random.randrange(40)}")]
    if random.random() < 0.1:
        params.append(("price", f"{random.randrange(100, 90_000) / 100:.2f}"))
    return params


def cookie(random: Random) -> str:
    """Draw a first-party analytics cookie or two, and sometimes a session."""
    parts = [f"_ga=GA1.1.{random.randrange(10**8, 10**10)}.{random.randrange(1_690_000_000, 1_760_000_000)}"]
    if random.random() < 0.4:
        parts.append(f"_fbp=fb.1.{random.randrange(10**12, 2 * 10**12)}.{random.randrange(10**8, 10**10)}")
    if random.random() < 0.3:
        parts.append(f"sid={random.getrandbits(96):024x}")
    return "; ".join(parts)
