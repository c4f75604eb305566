"""The load's shapes for locust: user classes, the load shape that mixes them, and what runs before and after.

Only this package and `loadtest/locustfile.py` import locust (and gevent, whose patching comes with it).

options    the command line's own options, which the web UI shows too
catalogue  every shape: who comes, how many, how fast, for how long
load       what users of one process share: keys, traffic, accounts to flip, the tally
pace       when the next hit is due
patience   users whom no stop cuts off within a request
visitors   browsers with sessions
storm      operators who flip accounts, and visitors whose hits carry the last flip
slow       clients that dribble, stall, read slowly, or leave
bots       bots and garbage, each with the answer it must get
raw        requests as bytes over a socket
mixed      locust's LoadTestShape: plays the chosen shape
admin      accounts and their flips, asked of the gating service
house      what is made before a run: accounts and keys, and which process gets which
conductor  begins and ends a run over all processes, and has it reckoned
reckon     asks the system, holds the checks, writes the page
"""
