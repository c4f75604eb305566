"""Progress: how far one journal was read, and what of that is not safe yet. Pure.

Kept by the pump, one a journal that is open. What is not acknowledged stands in the lanes; here stands what a reader
told of the journal itself.
"""

from dataclasses import dataclass, field

from collector.publisher.book import Account, Range


@dataclass(slots=True)
class Progress:
    """next_sequence: the next to be read. ended: nothing follows. unreadable: to be begun anew at the cursor.

    committed: everything below is behind the cursor. missing, dead: told since, not yet in the book.
    """

    next_sequence: int
    committed: int
    ended: bool = False
    unreadable: bool = False
    missing: list[Range] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)

    @property
    def open(self) -> bool:
        """Whether there may be more to read."""
        return not (self.ended or self.unreadable)

    def settle(self, account: Account, through: int) -> None:
        """Carry over to the account what lies at or below `through`; each thing once, whatever is replayed."""
        before, account.last = account.last, max(account.last, through)
        account.miss((first, last) for first, last in self.missing if before < last <= account.last)
        account.dead += sum(before < sequence <= account.last for sequence in self.dead)
        self.missing = [span for span in self.missing if span[1] > account.last]
        self.dead = {sequence for sequence in self.dead if sequence > account.last}
