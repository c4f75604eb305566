"""Browser shapes: which headers a browser sends with an `<img>` over HTTP/1.1, in which order, with which values.

Called by heads.py with its random numbers. Must not know pixels, keys or queries: a shape turns the page it stands on
into header lines. Orders and values are those of the named browsers' stable releases of 2023 to 2025.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

Header: TypeAlias = tuple[str, str]

CHROME_ACCEPT: Final = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX_ACCEPT: Final = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
FIREFOX_OLD_ACCEPT: Final = "image/avif,image/webp,*/*"
SAFARI_ACCEPT: Final = (
    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
    "image/*;q=0.8,*/*;q=0.5"
)

# The lists people have, the most frequent first; how their weights are written differs by browser.
LANGUAGES: Final = (
    ("en-US", "en"),
    ("en-GB", "en-US", "en"),
    ("de-DE", "de", "en-US", "en"),
    ("de",),
    ("fr-FR", "fr", "en-US", "en"),
    ("es-ES", "es"),
    ("es-419", "es", "en"),
    ("pt-BR", "pt", "en-US", "en"),
    ("nl-NL", "nl", "en"),
    ("pl-PL", "pl", "en-US", "en"),
    ("it-IT", "it", "en-US", "en"),
    ("ja",),
    ("ja", "en-US", "en"),
    ("zh-CN", "zh"),
    ("zh-TW", "zh", "en-US", "en"),
    ("ko-KR", "ko", "en-US", "en"),
    ("tr-TR", "tr", "en-US", "en"),
    ("sv-SE", "sv", "en-US", "en"),
    ("ru-RU", "ru", "en-US", "en"),
    ("ar", "en-US", "en"),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a shape needs to know of the page: the pixel's host, the page's origin and URL, and a cookie or none."""

    host: str
    connection: str
    origin: str
    page: str
    same_site: bool
    cookie: str | None


Shape: TypeAlias = Callable[[Random, Visit], list[Header]]


def _languages(random: Random, step: float, floor: float) -> str:
    """Weigh a language list: Chrome and Safari go down by 0.1, Firefox divides 1 by the list's length."""
    languages = LANGUAGES[min(len(LANGUAGES) - 1, int(random.expovariate(0.2)))]
    if step == 0.0:
        step = round(1.0 / len(languages), 1) if len(languages) > 2 else 0.5
    weights = [max(floor, 1.0 - step * at) for at in range(len(languages))]
    return ",".join(
        language if at == 0 else f"{language};q={weight:.1f}"
        for at, (language, weight) in enumerate(zip(languages, weights, strict=True))
    )


def _site(visit: Visit) -> str:
    return "same-site" if visit.same_site else "cross-site"


def _referer(visit: Visit) -> str:
    """`strict-origin-when-cross-origin`, the default of them all: the whole URL only where the origin is the same."""
    return visit.page if visit.same_site else f"{visit.origin}/"


def _brands(name: str, major: int) -> str:
    """The brand list with its made-up entry, whose place and spelling change with the version."""
    entries = [f'"Chromium";v="{major}"', f'"{name}";v="{major}"']
    greasy = ('"Not_A Brand";v="24"', '"Not A(Brand";v="8"', '"Not/A)Brand";v="99"', '"Not;A=Brand";v="8"')[major % 4]
    entries.insert(major % 3, greasy)
    return ", ".join(entries)


def _chromium(name: str, suffix: str, platform: str, system: str, mobile: bool) -> Shape:
    def shape(random: Random, visit: Visit) -> list[Header]:
        major = 142 - min(26, int(random.expovariate(0.35)))  # most follow within weeks, some never do
        agent = (
            f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 "
            f"{'Mobile ' if mobile else ''}Safari/537.36{suffix.format(major=major)}"
        )
        hints = [("sec-ch-ua", _brands(name, major)), ("sec-ch-ua-mobile", "?1" if mobile else "?0")]
        if major >= 131:  # Chrome moved the platform to the front then
            head = [("sec-ch-ua-platform", f'"{platform}"'), ("User-Agent", agent), *hints]
        else:
            head = [*hints, ("User-Agent", agent), ("sec-ch-ua-platform", f'"{platform}"')]
        tail = [("Accept-Encoding", "gzip, deflate, br" if major < 123 else "gzip, deflate, br, zstd")]
        tail.append(("Accept-Language", _languages(random, 0.1, 0.1)))
        if visit.cookie:
            tail.append(("Cookie", visit.cookie))
        privacy = [("DNT", "1")] if random.random() < 0.08 else []
        return [
            ("Host", visit.host),
            ("Connection", visit.connection),
            *head,
            *privacy,
            ("Accept", CHROME_ACCEPT),
            ("Sec-Fetch-Site", _site(visit)),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Sec-Fetch-Dest", "image"),
            ("Referer", _referer(visit)),
            *tail,
        ]

    return shape


def _firefox(system: str) -> Shape:
    def shape(random: Random, visit: Visit) -> list[Header]:
        major = random.choices((115, 128, 131, 133, 136, 138, 140, 142, 143, 144), (6, 4, 1, 1, 2, 2, 12, 8, 20, 44))[0]
        headers = [
            ("Host", visit.host),
            ("User-Agent", f"Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"),
            ("Accept", FIREFOX_ACCEPT if major >= 128 else FIREFOX_OLD_ACCEPT),
            ("Accept-Language", _languages(random, 0.0, 0.1)),
            ("Accept-Encoding", "gzip, deflate, br, zstd" if major >= 128 else "gzip, deflate, br"),
        ]
        if random.random() < 0.15:
            headers += [("DNT", "1")] if major < 136 else []  # Firefox dropped the header then
            headers.append(("Sec-GPC", "1"))
        headers += [("Connection", visit.connection), ("Referer", _referer(visit))]
        if visit.cookie:
            headers.append(("Cookie", visit.cookie))
        headers += [("Sec-Fetch-Dest", "image"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Site", _site(visit))]
        if major >= 131:
            headers.append(("Priority", "u=5, i"))
        return headers

    return shape


def _safari(system: str, mobile: bool) -> Shape:
    def shape(random: Random, visit: Visit) -> list[Header]:
        version = random.choices(
            ("16.6", "17.2", "17.4.1", "17.6", "18.0", "18.3.1", "18.5"), (6, 2, 3, 10, 5, 14, 60)
        )[0]
        where = system.format(ios=version.replace(".", "_"))
        agent = f"Mozilla/5.0 ({where}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}"
        agent += f"{' Mobile/15E148' if mobile else ''} Safari/{'604.1' if mobile else '605.1.15'}"
        cookie = [("Cookie", visit.cookie)] if visit.cookie else []
        return [
            ("Host", visit.host),
            ("Accept", SAFARI_ACCEPT),
            ("Sec-Fetch-Site", _site(visit)),
            *cookie,
            ("Sec-Fetch-Dest", "image"),
            ("Accept-Language", _languages(random, 0.1, 0.5)),
            ("Sec-Fetch-Mode", "no-cors"),
            ("User-Agent", agent),
            ("Referer", _referer(visit)),
            ("Accept-Encoding", "gzip, deflate, br"),
            ("Connection", visit.connection),
        ]

    return shape


WINDOWS: Final = "Windows NT 10.0; Win64; x64"
MACINTOSH: Final = "Macintosh; Intel Mac OS X 10_15_7"
ANDROID: Final = "Linux; Android 10; K"  # what Chrome tells since it reduced the user agent

SHAPES: Final[tuple[tuple[int, Shape], ...]] = (  # weight of 100: browsers as seen on public sites
    (22, _chromium("Google Chrome", "", "Windows", WINDOWS, False)),
    (9, _chromium("Google Chrome", "", "macOS", MACINTOSH, False)),
    (2, _chromium("Google Chrome", "", "Linux", "X11; Linux x86_64", False)),
    (24, _chromium("Google Chrome", "", "Android", ANDROID, True)),
    (9, _chromium("Microsoft Edge", " Edg/{major}.0.0.0", "Windows", WINDOWS, False)),
    (5, _firefox("Windows NT 10.0; Win64; x64")),
    (2, _firefox("Macintosh; Intel Mac OS X 10.15")),
    (1, _firefox("X11; Linux x86_64")),
    (2, _firefox("Android 14; Mobile")),
    (6, _safari(MACINTOSH, False)),
    (15, _safari("iPhone; CPU iPhone OS {ios} like Mac OS X", True)),
    (3, _safari("iPad; CPU OS {ios} like Mac OS X", True)),
)
