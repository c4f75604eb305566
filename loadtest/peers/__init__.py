"""The servers that are measured: each states its job, says what it lacks to run here, starts on a port of its own.

`server.py` is the protocol and the process handling; one file a family: `floors.py` (C, uvloop), `nginx.py`, `asgi.py`,
`pixelgate.py`. Up to Kafka: `delivery.py` and `engines.py` for what these share, `franz.py` (Go, in `franz/`),
`starlette_kafka.py` with its route `starlette_route.py`, `pixelgate_kafka.py`.

To add one: a class with `Server`'s members, and a line in `field.py`.
"""
