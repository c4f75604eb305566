"""What stands where in Redis: names of keys and channels, and what a stream entry's id says.

SHARED by the relay (which writes), the leader (which answers reports) and the workers' feed; pure, stdlib alone. One
hash tag binds all keys to one slot, so that a script may touch them together on a cluster too.

    {pixelgate}:epoch             hash     epoch: whose keys hold; term: of who wrote last; building: a rebuild's epoch
    {pixelgate}:<epoch>:state     hash     account -> its newest StatusChange (JSON)
    {pixelgate}:<epoch>:head      string   the version that the state stands at; absent while it is being built
    {pixelgate}:<epoch>:stream    stream   id <version>-0, field c -> StatusChange (JSON)
    {pixelgate}:reports           channel  workers -> leader (gating/datagram.py: Report)
    {pixelgate}:answers:<worker>  channel  leader -> that worker (Answer)
"""

from typing import Final

TAG: Final = "{pixelgate}"
POINTER: Final = f"{TAG}:epoch"
POINTER_EPOCH: Final = "epoch"
POINTER_TERM: Final = "term"
POINTER_BUILDING: Final = "building"
REPORTS: Final = f"{TAG}:reports"
CHANGE_FIELD: Final = "c"


def state_of(epoch: str) -> str:
    """The hash of every account's newest change."""
    return f"{TAG}:{epoch}:state"


def head_of(epoch: str) -> str:
    """The version that the state stands at."""
    return f"{TAG}:{epoch}:head"


def stream_of(epoch: str) -> str:
    """The stream of changes, each one version after the other."""
    return f"{TAG}:{epoch}:stream"


def answers_to(worker: str) -> str:
    """The channel that one worker's answers come on."""
    return f"{TAG}:answers:{worker}"


def entry_id(version: int) -> str:
    """The stream id of a version's change: reading after it gives what came later."""
    return f"{version}-0"


def version_of(entry: bytes) -> int:
    """Inverse of `entry_id`. Raises ValueError for an id that is none of ours."""
    version, _, rest = entry.partition(b"-")
    if rest != b"0":
        raise ValueError(f"stream id {entry[:40]!r} is no version's")
    return int(version)
