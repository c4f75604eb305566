"""The servers that are measured: each states its job, says what it lacks to run here, starts on a port of its own.

`server.py` is the protocol and the process handling; one file a family: `floors.py` (C, uvloop), `nginx.py`, `asgi.py`,
`pixelgate.py`. To add one: a class with `Server`'s members, and a line in `field.py`.
"""
