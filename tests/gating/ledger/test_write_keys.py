"""Write keys nobody guesses: those the ledger draws, and those it is given."""

import contextlib
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.errors import InputInvalid
from gating.ledger import new_write_key
from gating.ledger.given_key import check_given
from gating.ledger.keys import KEY_CHARACTERS

DRAWN = 100_000
CHI_SQUARE_MAX = 200.0
"""Of 62 characters: 61 is expected, and more than 200 comes by chance once in 10^16 times."""
ALPHABET = string.ascii_letters + string.digits


def chi_square(counts, expected):
    return sum((counts.get(letter, 0) - expected) ** 2 / expected for letter in ALPHABET)


def test_drawn_keys_are_distinct_and_evenly_spread_at_every_place():
    keys = [new_write_key() for _ in range(DRAWN)]
    assert len(set(keys)) == DRAWN
    assert {len(key) for key in keys} == {KEY_CHARACTERS}
    assert set("".join(keys)) == set(ALPHABET)
    spread = [chi_square(Counter(key[at] for key in keys), DRAWN / len(ALPHABET)) for at in range(KEY_CHARACTERS)]
    assert max(spread) < CHI_SQUARE_MAX, spread
    after = Counter((ALPHABET.index(key[1]) - ALPHABET.index(key[0])) % len(ALPHABET) for key in keys)
    assert chi_square({ALPHABET[step]: count for step, count in after.items()}, DRAWN / len(ALPHABET)) < CHI_SQUARE_MAX


def test_a_spread_that_is_a_little_uneven_is_seen():
    keys = [new_write_key().replace("z", "y") if at % 2 == 0 else new_write_key() for at in range(DRAWN)]
    assert chi_square(Counter(key[0] for key in keys), DRAWN / len(ALPHABET)) > CHI_SQUARE_MAX


@pytest.mark.parametrize(
    "key",
    [
        "K3vTq8ZrW2mXb6NcL9dYp4", "Wq3-Zt7_Kb9xMn2Vf5Rj", "550e8400-e29b-41d4-a716-446655440000", "9f8e7d6c5b4a3f2e",
        "83926510478236915047", "7c9e6679f4d1", "x7k2m9q4w1z8t3",
    ],
)  # fmt: skip
def test_a_given_key_with_64_random_bits_is_taken_and_a_shorter_one_is_not(key):
    if len(key) == 12:
        with pytest.raises(InputInvalid, match="48 random bits, 64 are the least"):
            check_given(key)
    else:
        check_given(key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "64 characters"), ("x" * 65, "64 characters"), ("a b" * 8, "64 characters"), ("ü" * 22, "64 characters"),
        ("chosen-key_1", "random bits"), ("Xy7Qp2", "random bits"), ("1234567890", "random bits"),
        ("a-" * 22 + "b" * 20, "different characters"), ("A" * 40, "random bits|different characters"),
        ("abcdefghijklmnop1234", "in a row"), ("0123456789abcdef", "in a row"), ("98765432109876543210", "in a row"),
        ("deadbeefdeadbeef", "again and again"), ("abc123" * 4, "again and again"),
        ("mycompanytrackingkey2024", "as words are"), ("my-company-tracking-key", "as words are"),
        ("CompanyTrackingWriteKey", "as words are"), ("2024-SHOP-TRACKING-PIXEL", "as words are"),
    ],
)  # fmt: skip
def test_a_given_key_that_could_be_guessed_is_refused_and_told_why(key, words):
    with pytest.raises(InputInvalid, match=words) as refused:
        check_given(key)
    if key:
        assert key not in str(refused.value)  # a key is told to no log


@given(st.text(max_size=70))
def test_whatever_is_given_is_taken_or_refused_as_input(key):
    with contextlib.suppress(InputInvalid):
        check_given(key)


def test_no_key_that_was_drawn_is_refused_when_it_is_given():
    """31 in 10,000 were, while what looks like words was not drawn again."""
    for _ in range(10_000):
        check_given(new_write_key())
