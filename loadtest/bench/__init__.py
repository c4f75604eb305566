"""The benchmark: servers that answer pixels, one beside the other, on one core, by the CPU a hit costs.

    python -m loadtest.bench

`__main__.py` reads the options, `rounds.py` starts a server, loads it (`wrk.py`; `idle.py`: beside connections that
stay open), reads its CPU (`cpu.py`) and stops it, in interleaved rounds; `flips.py` times an operator's flips under
load; `result.py` is what a run found, `bars.py` holds it against the bars, `report.py` and `plot.py` write it down.
The servers themselves are in `loadtest/peers`.

    python -m loadtest.bench.latency

Latency at given rates: `pace.c` is the open-model load, `pace.py` runs it, `latency_rounds.py` measures, `service.py`
reads what Pixelgate tells of its own times, `latency_result.py`, `latency_page.py` and `latency_plot.py` are as above;
`gaps.c` tells what the machine takes from everybody.

    python -m loadtest.bench.delivered

What goes on to Kafka: `delivered_turn.py` plays a server at one pace (`pacer.py`; `pace.py` with `pace.c`),
`delivered_result.py` is what was found, `delivered_page.py` and `delivered_plot.py` write it down.

    python -m loadtest.bench.growth

`growth/` measures what a hit costs as one thing grows: write keys, connections, heads, flips, journals that wait.
"""
