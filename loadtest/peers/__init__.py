"""The servers that are measured: each states its job, says what it lacks to run here, starts on a port of its own.

`server.py` is the protocol, the scenarios and the process handling; one file a family: `floors.py` (C, uvloop),
`nginx.py`, `compiled.py` (Go, Rust; their sources in `fasthttp/` and `hyper/`), `asgi.py`, `pixelgate.py`, `proxied.py`
(Pixelgate behind nginx). `gated.py` is what gated peers read and write, `certificate.py` what TLS needs. Up to Kafka:
`delivery.py` and `engines.py` for what these share, `franz.py` (Go, in `franz/`), `starlette_kafka.py` with its route
`starlette_route.py`, `pixelgate_kafka.py`. To add one: a class with `Server`'s members, and a line in `field.py`, which
also says in which scenarios it tells something new.
"""
