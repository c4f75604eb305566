"""The gate as it is easiest to read: an object a key. What the packed one must agree with, look-up by look-up."""

from collector.outcome import Outcome
from gating.status import Verdict

NEVER_US = 2**63
OUTCOME = {
    Verdict.ACCEPT: Outcome.ACCEPTED,
    Verdict.HIDE: Outcome.HIDDEN,
    Verdict.DROP: Outcome.DROPPED_STATUS,
}


class Entry:
    """How one write key stands: `answer` until `until_us`, then what `then` says."""

    def __init__(self, outcome, account, *, until_us, then, version, final):
        self.answer = (int(outcome), account)
        self.unleased = self.answer if final else (int(Outcome.UNVERIFIED), account)
        self.until_us = until_us
        self.then = then
        self.version = version
        self.final = final

    def at(self, now_us):
        entry = self
        while entry.then is not None and now_us >= entry.until_us:
            entry = entry.then
        return entry


def entry_of(change, key):
    account, version = change.account.encode(), change.version
    revoked = Entry(
        Outcome.DROPPED_REVOKED_KEY, account, until_us=NEVER_US, then=None, version=version, final=True
    )  # fmt: skip
    end_us = NEVER_US if key.revoked_at_us is None else key.revoked_at_us
    if end_us <= change.at_us:
        return revoked
    until_us, then = end_us, None if end_us == NEVER_US else revoked
    if change.until_us is not None and change.then is not None and change.until_us < end_us:
        then = Entry(OUTCOME[change.then], account, until_us=end_us, then=then, version=version, final=False)
        until_us = change.until_us
    return Entry(OUTCOME[change.verdict], account, until_us=until_us, then=then, version=version, final=change.final)


class ModelGate:
    """The map alone, without lease and clock."""

    def __init__(self):
        self.entries = {}
        self.epoch, self.version = "", 0

    def decide(self, key, now_us, leased):
        entry = self.entries.get(key)
        if entry is None:
            if not key:
                return (int(Outcome.DROPPED_NO_KEY), b"")
            return (int(Outcome.DROPPED_UNKNOWN_KEY if leased else Outcome.UNVERIFIED), b"")
        if not leased:
            return entry.unleased
        if now_us < entry.until_us:
            return entry.answer
        return entry.at(now_us).answer

    def restart(self, epoch):
        self.entries.clear()
        self.epoch, self.version = epoch, 0

    def apply(self, change):
        for key in change.keys:
            name = key.write_key.encode()
            old = self.entries.get(name)
            if old is None or old.version < change.version:
                self.entries[name] = entry_of(change, key)

    def stand(self, version):
        self.version = max(self.version, version)
