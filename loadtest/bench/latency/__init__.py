"""Latency at given rates that wait for nobody, and service time in process: `python -m loadtest.bench.latency`.

rounds       legs, each a server at a rate, in interleaved rounds; void ones are repeated
service      Pixelgate that times itself, and what it tells
result       what was found
page, plot   that as a page and as a picture
gaps.c       what the machine takes from everybody, beside the run

The load is `pace.c` of the package above.
"""
