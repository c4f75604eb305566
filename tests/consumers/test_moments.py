"""Times as people write them."""

import pytest

from consumers.errors import QuestionInvalid
from consumers.moments import ALWAYS, month_before, period_of
from consumers.warehouse.protocol import Period

MARCH = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
APRIL = 1_775_001_600_000_000
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("from_", "to", "period"),
    [
        (None, None, ALWAYS),
        ("2026-03-01", "2026-04-01", Period(MARCH, APRIL)),
        ("2026-03-01T01:00:00+01:00", None, Period(MARCH, ALWAYS.to_us)),
        ("2026-03-01T01:00:00Z", "2026-03-01T01:00:00Z", Period(MARCH + HOUR, MARCH + HOUR)),
        ("0001-01-01", "9999-12-31", ALWAYS),
    ],
)
def test_a_period_is_read_from_days_and_times(from_, to, period):
    assert period_of(from_, to) == period


@pytest.mark.parametrize(
    ("from_", "to"), [("x", None), (None, ""), ("2026-03-01T12:00:00", None), ("2026-04-01", "2026-03-01")]
)
def test_a_period_that_does_not_read_is_refused_by_name(from_, to):
    with pytest.raises(QuestionInvalid, match=r"^(from|to) is"):
        period_of(from_, to)


def test_a_month_ends_where_the_next_begins():
    assert month_before(MARCH + 1) == Period(MARCH, APRIL)
    assert month_before(APRIL) == Period(MARCH, APRIL)
    assert month_before(APRIL + 1).from_us == APRIL
