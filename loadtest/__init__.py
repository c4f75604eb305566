"""Load and speed, measured from outside.

`heads.py` and `browsers.py` write the requests browsers would send. `peers/` starts the servers that answer them,
`bench/` measures one beside the other, `capacity/` reckons what more hits need. `locustfile.py` is for locust:
`traffic/` has visitors and garbage, `shapes/` who plays them, `reckoning/` whether all of it held, `page/` shows that;
`python -m loadtest` starts a system for it. `ending.py` is how any run here ends before its time. Black box: nothing
here imports gating, collector, consumers or deploy; Pixelgate is driven by its command line and its sockets, as any
user would.
"""
