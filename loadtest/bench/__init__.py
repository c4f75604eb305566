"""The benchmark: servers that answer pixels, one beside the other, on one core, by the CPU a hit costs.

    python -m loadtest.bench

`__main__.py` reads the options, `rounds.py` starts a server, loads it (`wrk.py`), reads its CPU (`cpu.py`) and stops
it, in interleaved rounds; `flips.py` times an operator's flips under load; `result.py` is what a run found, `bars.py`
holds it against the bars, `report.py` and `plot.py` write it down.

`delivered.py` measures what goes on to Kafka: `delivered_turn.py` plays a server at one pace (`pacer.py`; `pace.py`
with `pace.c`), `delivered_result.py` is what was found, `delivered_page.py` and `delivered_plot.py` write it down.

The servers themselves are in `loadtest/peers`.
"""
