"""A visitor's way through a site: one browser, one visitor id, page after page, each with its referrer.

Pages and sites (accounts) are drawn by Zipf's law, browsers by their share in the field; the parts of a head are those
of `heads.py` and `browsers.py`. A seed gives the same visitors, hit by hit, on every machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import quote

from loadtest.browsers import SHAPES, Header, Shape, Visit
from loadtest.heads import EVENTS, PATHS, REFERRERS, SCREENS, SITES, START_MS, ZONES, cookie, encode, fields
from loadtest.traffic.zipf import Zipf

PAGES: Final = 300
"""Of a site: those of `heads.PATHS`, then numbered ones."""
PAGE_EXPONENT: Final = 1.0
ACCOUNT_EXPONENT: Final = 1.1
"""Web pages within a site, and sites among sites, follow Zipf's law with exponents about 1."""
GOES_ON: Final = 0.75
"""After each hit a visitor stays with this probability: 4 hits a session on average."""
NEW_PAGE: Final = 0.6
"""A further hit is of a new page with this probability, else an event on the same one."""
DWELL_MS: Final = 30_000
"""Between two hits of a visitor by the client's clock, on average."""
PAGE_VIEW: Final = EVENTS[0]
ACTIONS: Final = tuple(event for event in EVENTS if event != PAGE_VIEW)
FROM_ELSEWHERE: Final = 0.5
TELLS_SCREEN: Final = 0.5
HAS_COOKIE: Final = 0.3
SIGNED_IN: Final = 0.25


@dataclass(frozen=True, slots=True)
class Hit:
    """One pixel: its target (path and query), its header lines in the browser's order, and the write key's rank."""

    target: str
    headers: list[Header]
    rank: int

    def head(self) -> bytes:
        """Write the whole request head."""
        lines = [f"GET {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class Traffic:
    """Visitors of the sites that the write keys stand for. keys: the most visited first; host: what browsers call."""

    def __init__(self, keys: Sequence[str], host: str, account_exponent: float = ACCOUNT_EXPONENT) -> None:
        """Weigh sites and pages. Raises ValueError without a key."""
        self.keys = keys
        self.host = host
        self._accounts = Zipf(len(keys), account_exponent)
        self._pages = Zipf(PAGES, PAGE_EXPONENT)
        self._weights = [weight for weight, _ in SHAPES]
        self._shapes = [shape for _, shape in SHAPES]

    def session(self, random: Random) -> Iterator[Hit]:
        """One visitor's hits, one at least."""
        visitor = _Visitor(self, random)
        yield visitor.hit(PAGE_VIEW)
        while random.random() < GOES_ON:
            if random.random() < NEW_PAGE:
                visitor.go_on()
                yield visitor.hit(PAGE_VIEW)
            else:
                yield visitor.hit(random.choice(ACTIONS))

    def sessions(self, random: Random) -> Iterator[Iterator[Hit]]:
        """One visitor after the other, without end."""
        while True:
            yield self.session(random)

    def rank(self, random: Random) -> int:
        """Draw a site."""
        return self._accounts.draw(random)

    def page(self, random: Random, origin: str) -> str:
        """Draw a page of a site: its URL."""
        rank = self._pages.draw(random)
        path = PATHS[rank] if rank < len(PATHS) else f"/articles/{rank}-{rank * 7919 % 1009}"
        return origin + quote(path, safe="/?&=+")

    def shape(self, random: Random) -> Shape:
        """Draw a browser."""
        return random.choices(self._shapes, self._weights)[0]


class _Visitor:
    """What stays the same from hit to hit, and the page the visitor is on."""

    def __init__(self, traffic: Traffic, random: Random) -> None:
        self._traffic, self._random = traffic, random
        self._rank = traffic.rank(random)
        self._origin = SITES[self._rank % len(SITES)]
        self._shape = traffic.shape(random)
        self._browser = random.getrandbits(32)  # whose draws are its version, languages and privacy settings
        self._id = f"{random.getrandbits(128):032x}"
        self._user = f"user-{random.randrange(1, 200_000)}" if random.random() < SIGNED_IN else None
        self._cookie = cookie(random) if random.random() < HAS_COOKIE else None
        self._clock_ms = START_MS + random.randrange(86_400_000)
        self._referrer = random.choice(REFERRERS) if random.random() < FROM_ELSEWHERE else None
        self._page = traffic.page(random, self._origin)
        tells = random.random() < TELLS_SCREEN
        self._screen = (random.choice(SCREENS), random.choice(ZONES)) if tells else (None, None)

    def go_on(self) -> None:
        """Follow a link: the page left is the next one's referrer."""
        self._referrer, self._page = self._page, self._traffic.page(self._random, self._origin)

    def hit(self, event: str) -> Hit:
        self._clock_ms += round(self._random.expovariate(1 / DWELL_MS))
        screen, zone = self._screen
        own = {"e": event, "u": self._page, "r": self._referrer, "v": self._id, "uid": self._user}
        own |= {"t": str(self._clock_ms), "sw": screen, "tz": zone}
        extras = [pair for pair in fields(self._random, self._page, self._clock_ms) if pair[0] not in own]
        params = [*((name, value) for name, value in own.items() if value is not None), *extras]
        target = f"/p/{self._traffic.keys[self._rank]}.gif?{encode(params)}"
        visit = Visit(self._traffic.host, "keep-alive", self._origin, self._page, False, self._cookie)
        return Hit(target, self._shape(Random(self._browser), visit), self._rank)
