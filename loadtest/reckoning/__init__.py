"""What a run came to: what was seen on the load's side, what the system says, and whether the two agree.

No locust here, so that each check can be tried with what it must find.

tally      what one process of the load saw: counts, seconds, latencies, answers; several make one
latency    latencies as an HdrHistogram
flips      every hit of a flipped account against the operator's export: kept under which status, once, or not at all
outside    what the system says of itself: metrics, verify, exports, the CPU time of its processes
checks     conservation and the other checks, each passed, failed or not made
result     all of it, as one value that can be written and read
"""
