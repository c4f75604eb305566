"""Lives under SegMetrics' rulebook, as far as each status."""

from gating.policy import load_rulebook
from gating.status import Role
from tests.gating.life import Life

SEGMETRICS = load_rulebook("segmetrics")
WEEK = 7
SUPPORT_FOR_OWNER = {"role": Role.SUPPORT, "on_behalf": "owner"}


def active() -> Life:
    life = Life.begin(SEGMETRICS)
    life.do("subscribe", plan="business", payment="p1")
    return life


def canceled() -> Life:
    life = active()
    life.do("cancel", reason="not_using")
    return life


def paused() -> Life:
    life = active()
    life.do("pause", **SUPPORT_FOR_OWNER, payment="p2")
    return life


def frozen() -> Life:
    life = active()
    life.do("payment_failed", Role.SYSTEM)
    return life
