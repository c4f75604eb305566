"""The servers that are measured: each states its job, says what it lacks to run here, starts on a port of its own.

server                  the protocol of all of them, the scenarios, the process handling
field                   who is measured, and in which scenarios that tells something new
floors                  answer and do nothing else: C (`epoll_floor.c`), uvloop (`uvloop_floor`)
nginx, compiled         nginx; Go and Rust (sources in `go/` and `hyper/`), by what `gated` and `wire` say of all
asgi                    a bare ASGI function on uvicorn (`bare_asgi`)
pixelgate, proxied      ours, driven by its command line (`local_http`); behind an nginx that ends TLS
certificate             what TLS needs
delivery, engines       hits that go on to Kafka, and the servers these need
franz, starlette_kafka  Go, by the module of the other; the route people write first (`starlette_route`)
pixelgate_kafka         ours, with its publisher

To add one: a class with `Server`'s members, and a line in `field.py`.
"""
