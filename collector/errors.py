"""What can go wrong in the collector, one class for each thing a caller can do something about.

Like gating's: each class words its message from values and carries the command line's exit code and an HTTP status.
"""

from pathlib import Path
from typing import ClassVar

from gating.errors import PixelgateError


class CollectorError(PixelgateError):
    """Root of the collector's own errors."""


class JournalError(CollectorError):
    """Root of the journal's errors. Whatever was being appended is not in the journal, and never will be."""

    http_status: ClassVar[int] = 503
    code: ClassVar[str] = "journal"


class JournalFull(JournalError):
    """No room for the group: answer 503 with Retry-After. Appending works again by itself once there is room."""

    code = "journal_full"


class JournalFailed(JournalError):
    """The file system refused the group for another reason than room: answer 503. The next append starts clean."""

    code = "journal_failed"

    def __init__(self, what: str, path: Path, error: OSError) -> None:
        super().__init__(f"journal {path}: cannot {what}: {error.strerror}; hits get 503 until it can")


class JournalSyncFailed(JournalError):
    """The kernel may have lost what was written: answer no 200, exit. Nothing can be appended any more."""

    code = "journal_sync_failed"

    def __init__(self, path: Path, error: OSError | None = None) -> None:
        why = error.strerror if error else "an earlier sync failed"
        super().__init__(f"journal {path}: cannot be made durable: {why}; this worker must exit, its journal is kept")


class JournalClosed(JournalError):
    """The journal was closed by its own worker."""

    code = "journal_closed"


class JournalLive(JournalError):
    """The journal has a writer, or another process adopted it."""

    http_status = 409
    code = "journal_live"


class JournalUnknown(JournalError):
    """There is no journal at this path."""

    http_status = 404
    code = "journal_unknown"


class GroupTooLarge(JournalError):
    """The group does not fit a segment: close groups earlier. A bug in the caller, since requests are bounded."""

    http_status = 413
    code = "group_too_large"

    def __init__(self, payload_bytes: int, payload_bytes_max: int) -> None:
        super().__init__(f"a group of {payload_bytes} bytes does not fit a frame, the most is {payload_bytes_max}")


class FrameInvalid(CollectorError):
    """Bytes that no journal wrote where they stand; readers take them as damage."""

    code = "frame_invalid"


class TotalDamaged(CollectorError):
    """The file that holds the counts of workers that are gone does not read: restore it, or those counts are lost."""

    code: ClassVar[str] = "total_damaged"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} does not read: restore it from a backup, or remove it and lose the counts of workers that are gone"
        )


class SinkFailed(CollectorError):
    """Kafka did not take a batch, or could not be reached: whatever was on its way is sent again."""

    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 503
    code: ClassVar[str] = "sink_failed"

    def __init__(self, doing: str, cause: BaseException) -> None:
        super().__init__(f"{doing} failed: {str(cause).strip() or type(cause).__name__}")


class BatchRefused(CollectorError):
    """The broker takes everything but this very batch. timestamp: it is its records' time that is refused."""

    code: ClassVar[str] = "batch_refused"

    def __init__(self, place: tuple[str, int], reason: str, *, timestamp: bool = False) -> None:
        super().__init__(f"{place[0]}/{place[1]} refuses a batch: {reason}")
        self.reason = reason
        self.timestamp = timestamp


class BookDamaged(CollectorError):
    """The publisher's book does not read."""

    code: ClassVar[str] = "book_damaged"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} does not read: restore it from a backup, or move it away; then `verify` no longer knows "
            "of journals that are gone"
        )


class SettingMissing(CollectorError):
    """A role cannot run without this setting."""

    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = "setting_missing"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} is not set: {why}")


class SettingInvalid(CollectorError):
    """A setting's value does not read."""

    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = "setting_invalid"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
