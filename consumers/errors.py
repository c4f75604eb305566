"""What can go wrong in the consumers, one class for each thing a caller can do something about.

Each class words its own message from values and carries the exit code of the command line and the HTTP status of the
consumer's socket, as `gating.errors` does for gating.
"""

from collections.abc import Iterable
from pathlib import Path

from gating.errors import PixelgateError


class ConsumerError(PixelgateError):
    """Root of the consumers' own errors."""


class AccessDenied(ConsumerError):
    """The account's status gives it no access to its data now."""

    http_status = 403
    code = "access_denied"

    def __init__(self, account: str) -> None:
        super().__init__(
            f"account {account!r} has no access to its data in its present status: see `pixelgate account show`"
        )


class NotSettledInTime(ConsumerError):
    """Hits answered before the question are not all in the warehouse, or not all settled, when the wait is over."""

    exit_code = 4
    http_status = 504
    code = "not_settled_in_time"

    def __init__(self, seconds: float, missing: str) -> None:
        super().__init__(f"not settled within {seconds:g} s: {missing}")


class WarehouseFailed(ConsumerError):
    """The warehouse did not take or give rows; nothing of the step was kept, and it may be tried again."""

    exit_code = 3
    http_status = 503
    code = "warehouse_failed"

    def __init__(self, doing: str, cause: BaseException) -> None:
        first_line = str(cause).strip().partition("\n")[0]
        super().__init__(f"the warehouse failed while {doing}: {first_line}")


class WarehouseUnknown(ConsumerError):
    """The warehouse file or database was written by a newer release, or is no warehouse of ours."""

    http_status = 409
    code = "warehouse_unknown"

    def __init__(self, path: Path | str, found: object, known: int) -> None:
        super().__init__(
            f"warehouse {path} has format {found!r}, this release reads up to {known}: use the release that wrote it"
        )


class ServerTooOld(ConsumerError):
    """The warehouse's server lacks what this release asks of it."""

    exit_code = 3
    http_status = 503
    code = "server_too_old"

    def __init__(self, place: str, found: str, needed: str) -> None:
        super().__init__(f"ClickHouse at {place} is of version {found}, this release needs {needed} or newer")


class SourceFailed(ConsumerError):
    """Events could not be read or a position not be kept; what was not committed comes again."""

    exit_code = 3
    http_status = 503
    code = "source_failed"

    def __init__(self, doing: str, cause: BaseException) -> None:
        super().__init__(f"reading events failed while {doing}: {cause}")


class ExportFailed(ConsumerError):
    """The export could not be written; no file was left behind."""

    http_status = 500
    code = "export_failed"

    def __init__(self, path: Path, cause: BaseException) -> None:
        why = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
        super().__init__(f"export to {path} failed, nothing was written: {why}")


class QuestionInvalid(ConsumerError):
    """A value in a question to the consumer does not read."""

    http_status = 422
    code = "input_invalid"

    def __init__(self, name: str, given: str, expected: Iterable[str] | str) -> None:
        wanted = expected if isinstance(expected, str) else "one of " + ", ".join(expected)
        super().__init__(f"{name} is {given[:100]!r}, expected {wanted}")
