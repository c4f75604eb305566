"""Given keys: whether a write key that comes from outside can have been drawn by chance. Pure.

Called by `transaction.py` for a key that the ledger did not draw itself, such as one that a website carries already.
No form proves chance: words with digits between them pass. This refuses what is too short for 64 random bits, and what
shows a pattern. By chance one key in 300 of 22 letters and digits is written as words are: who draws keys draws another
one then (`is_written_as_words`).
"""

import re
from itertools import pairwise
from math import log2
from typing import Final

from gating.errors import InputInvalid

BITS_MIN: Final = 64
"""What a key must be able to hold: at a billion tries a second, 300 years for an even chance."""
CHARACTERS_MAX: Final = 64
DISTINCT_MIN: Final = 5
"""Of 16 random hexadecimal digits fewer are seen once in 2,000,000 times."""

_READS: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{CHARACTERS_MAX}}}")
_SEPARATORS: Final = re.compile(r"[_-]")
_ALPHABETS: Final = (
    (re.compile(r"[0-9]+"), 10),
    (re.compile(r"[0-9a-f]+|[0-9A-F]+"), 16),
    (re.compile(r"[0-9a-z]+|[0-9A-Z]+"), 36),
    (re.compile(r"[0-9a-zA-Z]+"), 62),
)
_WORDS: Final = re.compile(r"[0-9_-]*[A-Za-z_-]*[0-9_-]*")
"""Letters in one piece, digits only before or behind them: words, and a number."""


def check_given(write_key: str) -> None:
    """Raise InputInvalid for a key that does not read, or that somebody could guess."""
    if not _READS.fullmatch(write_key):
        raise InputInvalid(f"a write key is at most {CHARACTERS_MAX} characters of A-Z, a-z, 0-9, '_' and '-'")
    core = _SEPARATORS.sub("", write_key)
    bits = len(core) * log2(_letters(core))
    if bits < BITS_MIN:
        raise InputInvalid(
            f"this write key can hold {bits:.0f} random bits, {BITS_MIN} are the least: take 22 random letters and "
            "digits, or have one drawn"
        )
    if pattern := _pattern(core, write_key):
        raise InputInvalid(f"this write key could be guessed: {pattern}; take 22 random letters and digits")


def _letters(core: str) -> int:
    """How many characters the key can have been drawn from, by those it has."""
    return next((size for alphabet, size in _ALPHABETS if alphabet.fullmatch(core)), 1)


def _pattern(core: str, write_key: str) -> str | None:
    if len(set(core)) < DISTINCT_MIN:
        return f"it has {len(set(core))} different characters"
    if _goes_in_steps(core):
        return "its characters follow each other in a row"
    if _repeats(core):
        return "it says the same again and again"
    if _letters(core) > 16 and is_written_as_words(write_key):  # no words in a-f
        return "it is letters with digits at an end, as words are"
    return None


def is_written_as_words(write_key: str) -> bool:
    """Tell whether it is letters with digits at an end only, in small letters, capitals or camelCase."""
    return _WORDS.fullmatch(write_key) is not None and _is_cased_as_words(write_key)


def _is_cased_as_words(key: str) -> bool:
    """Whether capitals and small letters take turns as in camelCase at the most; by chance they do at every second."""
    letters = [letter.isupper() for letter in key if letter.isalpha()]
    turns = sum(before != after for before, after in pairwise(letters))
    return turns * 3 <= len(letters)


def _goes_in_steps(core: str) -> bool:
    """Whether more than half of its steps from character to character are the step before: `abcdef`, `97531`."""
    steps = [ord(after) - ord(before) for before, after in pairwise(core)]
    kept = sum(step == before for before, step in pairwise(steps))
    return kept * 2 > len(core)


def _repeats(core: str) -> bool:
    """Whether it is one piece over and over, but for two characters."""
    for length in range(1, len(core) // 2 + 1):
        same = sum(before == after for before, after in zip(core, core[length:], strict=False))
        if same >= len(core) - length - 2:
            return True
    return False
