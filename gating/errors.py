"""What can go wrong in gating, one class for each thing a caller can do something about.

Each class words its own message from values and carries the exit code of the command line (CONTRACT: 1 refused or
failed, 3 unreachable, 4 `--wait` timed out) and the HTTP status of the API.
"""

from typing import ClassVar


class PixelgateError(Exception):
    """Root of every error that is an answer to a user rather than a bug."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 400
    code: ClassVar[str] = "failed"


class GatingError(PixelgateError):
    """Root of gating's own errors. rule: what refused, for the record of refusals; None where the code says it all."""

    rule: str | None = None


class Refused(GatingError):
    """The rulebook does not allow this command here, now, by this role, or without what it needs."""

    http_status = 409
    code = "refused"

    def __init__(self, message: str, *, rule: str | None = None) -> None:
        """rule: the refusing rule's place in its rulebook, or a word for what is none of a rulebook's."""
        super().__init__(message)
        self.rule = rule


class ClockInDoubt(Refused):
    """A deadline of the account may have come, and the clock that says so is not believed."""

    code = "clock_in_doubt"


class NotFound(GatingError):
    """No such account, key or rulebook."""

    http_status = 404
    code = "not_found"


class AlreadyExists(GatingError):
    """The id is taken; ids of deleted accounts stay taken for ever (I8)."""

    http_status = 409
    code = "already_exists"


class RulebookInvalid(GatingError):
    """A rulebook file has faults; the message names each with its line."""

    http_status = 422
    code = "rulebook_invalid"


class InputInvalid(GatingError):
    """A value a person gave does not read: an id, a time, a `--set`."""

    http_status = 422
    code = "input_invalid"


class Unreachable(GatingError):
    """A server, process or file that is needed does not answer."""

    exit_code = 3
    http_status = 503
    code = "unreachable"


class NotEnforcedInTime(GatingError):
    """The flip is committed, but a worker has neither reported it nor surely lost its lease."""

    exit_code = 4
    http_status = 504
    code = "not_enforced_in_time"


class DataDirectoryInUse(GatingError):
    """Another process holds this role on this data directory."""

    http_status = 409
    code = "in_use"


class DataDirectoryUnknown(GatingError):
    """The data directory was written by a newer version, or is no data directory at all."""

    code = "data_directory"
