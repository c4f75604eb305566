"""Speed: what a hit costs in instructions, held to what was recorded; no time is asserted anywhere.

replay      a worker's own code in one process, fed by a fixed sequence: the program that is counted
counting    runs it under cachegrind, less what its start costs
baseline    what was recorded, by interpreter; `python -m tests.speed.record` writes it anew
"""
