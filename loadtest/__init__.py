"""Load and speed, measured from outside.

`heads.py` writes the requests browsers would send, `peers/` starts the servers that answer them, `bench/` measures one
beside the other, `capacity/` reckons what more hits need. Black box: nothing here imports gating, collector, consumers
or deploy; Pixelgate is driven by its command line and its sockets, as any user would.
"""
