"""Loading rulebooks: TOML text in, a checked `Policy` out, or every fault with its line.

Called by the service and the command line (`rulebook list`, `show`, `check`). It reads files and decides nothing: what
a rulebook says is `rulebook_schema.py`'s, whether it holds together `rulebook_check.py`'s, what follows from it
`lifecycle.py`'s. A rulebook that is not wholly right is never used.
"""

import difflib
import hashlib
import re
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import orjson

from gating.errors import NotFound, RulebookInvalid, Unreachable
from gating.rulebook import Fault, Policy
from gating.rulebook_check import faults_of, overlays_of
from gating.rulebook_lines import lines_of
from gating.rulebook_reader import Reader
from gating.rulebook_schema import Rules, rules_of
from gating.rulebook_show import mermaid, show

__all__ = ["Fault", "Policy", "check", "load_rulebook", "mermaid", "parse_rulebook", "rulebooks", "show"]

COMMON: Final = "common"
"""The one file that `include` may name: what holds in every product. It is no rulebook itself."""

FOLLOWS: Final = "\n#: common.toml follows, as it was\n"
"""Between a rulebook's own text and the included one in `Policy.text`: a stored text needs no file beside it."""

TEXT_CHARACTERS_MAX: Final = 256 * 1024  # the longest here has 8,000; a table nobody can read is no rulebook

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SYNTAX_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$")


def rulebooks() -> list[str]:
    """The names of the rulebooks that come with the package, sorted."""
    names = (Path(entry.name) for entry in _policies().iterdir() if entry.name.endswith(".toml"))
    return sorted(name.stem for name in names if name.stem != COMMON)


def load_rulebook(name: str | Path) -> Policy:
    """The rulebook of that name, or in that file where it is a path (it ends in `.toml` or holds a slash).

    Raises NotFound, naming the nearest; RulebookInvalid with every fault; Unreachable where the file cannot be read.
    """
    if isinstance(name, str) and not name.endswith(".toml") and "/" not in name:
        if name not in (known := rulebooks()):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise NotFound(f"there is no rulebook {name[:64]!r}; {hint}there are: {', '.join(known)}")
        return _built_in(name)
    return parse_rulebook(_read(Path(name)), Path(name).stem)


def parse_rulebook(text: str, name: str) -> Policy:
    """A rulebook from its text: a file's, or a `Policy.text` that was stored, which gives an equal policy again.

    Raises RulebookInvalid with every fault, each with file and line.
    """
    policy, faults = _parse(text, name)
    if policy is None:
        raise RulebookInvalid("; ".join(str(fault) for fault in faults))
    return policy


def check(path: str | Path) -> list[Fault]:
    """Every fault of a rulebook's file, in the order of its lines; none where it can be used.

    Raises NotFound or Unreachable where there is no such file.
    """
    return _parse(_read(Path(path)), Path(path).stem)[1]


@cache  # a package's files do not change under a process, a policy is immutable, and parsing one takes 3 ms
def _built_in(name: str) -> Policy:
    return parse_rulebook((_policies() / f"{name}.toml").read_text(encoding="utf-8"), name)


def _policies() -> Any:
    return resources.files("gating") / "policies"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        raise NotFound(f"there is no rulebook file {str(path)!r}") from None
    except OSError as error:
        raise Unreachable(f"rulebook file {str(path)!r} cannot be read: {error.strerror}") from error


def _parse(text: str, name: str) -> tuple[Policy | None, list[Fault]]:
    faults: list[Fault] = []
    if not _NAME.fullmatch(name):
        faults.append(Fault(f"{name}.toml", 0, f"{name!r} is no name for a rulebook: small letters, digits, _ and -"))
    if len(text) > TEXT_CHARACTERS_MAX:
        faults.append(Fault(f"{name}.toml", 0, f"has {len(text)} characters, {TEXT_CHARACTERS_MAX} are the most"))
        return None, faults
    own, included = _document(text.partition(FOLLOWS)[0], f"{name}.toml", faults, shared=False), None
    if own is None:
        return None, faults
    if "include" in own.data and own.one_of(("include",), own.data["include"], (COMMON,), "file to include"):
        shared_text = text.partition(FOLLOWS)[2] or (_policies() / f"{COMMON}.toml").read_text(encoding="utf-8")
        text = text.partition(FOLLOWS)[0] + FOLLOWS + shared_text
        included = _document(shared_text, f"{COMMON}.toml", faults, shared=True)
    readers = [reader for reader in (own, included) if reader is not None]
    rules = rules_of(readers)
    faults += faults_of(rules, own)
    faults = sorted(set(faults), key=lambda fault: (fault.file != own.file, fault.line, fault.message))
    if faults or rules.start is None:
        return None, faults
    return _policy(name, text, rules, [reader.data for reader in readers]), []


def _document(text: str, file: str, faults: list[Fault], *, shared: bool) -> Reader | None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _SYNTAX_LINE.search(str(error))
        line = int(place[1]) if place else text.count("\n") + 1  # "(at end of document)"
        faults.append(Fault(file, line, f"is no TOML: {_SYNTAX_LINE.sub('', str(error))}"))
        return None
    except RecursionError:
        faults.append(Fault(file, 0, "is no rulebook: it nests too deeply"))
        return None
    return Reader(file, data, lines_of(text), faults, shared)


def _policy(name: str, text: str, rules: Rules, documents: list[Any]) -> Policy:
    if rules.start is None:
        raise ValueError("a rulebook without a start is a fault and never comes here")
    content = orjson.dumps(documents, option=orjson.OPT_SORT_KEYS)
    return Policy(
        name=name,
        title=rules.title,
        start=rules.start,
        statuses=rules.statuses,
        commands=rules.commands,
        lapse_effects=rules.lapse_effects,
        reasons=rules.reasons,
        dates=rules.dates,
        calendar=rules.calendar,
        trial_us=rules.trial_us,
        promises=rules.promises,
        overlays=overlays_of(rules),
        text=text,
        digest=hashlib.sha256(content).hexdigest(),
        allowances=rules.allowances,
    )
