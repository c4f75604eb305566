"""Limits: how long and how many, for connections. The sizes of a head are `hit.py`'s, since consumers know them too.

Read by the protocol; made once a worker from its settings and handed in, so that a test can be short of time.
"""

from dataclasses import dataclass, field

from collector.wheel import AHEAD_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker allows. Seconds are the wheel's: a limit lasts as long as it says, or up to one longer."""

    connections_max: int = 10_000
    idle_seconds: int = 75  # nginx's keepalive_timeout; longer than the 60 s after which load balancers let go
    head_seconds: int = 10  # from a head's first byte to its last; Apache's mod_reqtimeout gives 20 to 40
    body_seconds: int = 30  # 1 MiB at 35 kB/s
    stall_seconds: int = 30  # a client that takes no answers off us; nginx's send_timeout is 60
    linger_seconds: int = 2  # after a refusal, to read what is still on its way: nginx's lingering_timeout is 5
    refused_max: int = 256  # connections beyond the cap that wait for their 503; beyond that they are cut off

    crowded_from: int = field(init=False)  # from this many connections on, the longest idle make room for new ones

    def __post_init__(self) -> None:
        """Raise ValueError where two limits contradict each other."""
        object.__setattr__(self, "crowded_from", self.connections_max - self.connections_max // 20)
        longest = max(self.idle_seconds, self.head_seconds, self.body_seconds, self.stall_seconds, self.linger_seconds)
        if longest >= AHEAD_MAX:
            raise ValueError(f"a limit of {longest} s is beyond the wheel's {AHEAD_MAX}")
