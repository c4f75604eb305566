"""Lives under the rulebook that uses every word of the schema, for the tests of the machine."""

from pathlib import Path

from gating.policy import load_rulebook
from gating.status import DAY_US, Role
from tests.gating.life import START_US, Life

EVERYTHING = load_rulebook(Path(__file__).parent / "rulebooks" / "everything.toml")
ACME = {
    "role": Role.SUPPORT,
    "on_behalf": "owner:ana",
    "company": "Acme",
    "email": "Ana@Example.org",
    "on_file": {"company": "ACME ", "email": "ana@example.org"},
}


def trial() -> Life:
    return Life.begin(EVERYTHING)


def paid(period_end: str = "2026-03-20T00:00:00Z") -> Life:
    life = trial()
    life.do("subscribe", plan="pro", payment="p1", period_end=period_end)
    return life


def free() -> Life:
    life = trial()
    life.do("set_free", Role.SUPPORT)
    return life


def requested() -> Life:
    life = paid()
    life.do("request_deletion", confirm=True)
    return life


def days(at_us: int | None) -> float | None:
    return None if at_us is None else (at_us - START_US) / DAY_US
