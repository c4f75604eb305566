"""The benchmark: servers that answer pixels, one beside the other, on one core, by the CPU a hit costs.

    python -m loadtest.bench

`__main__.py` reads the options, `rounds.py` starts a server, loads it (`wrk.py`), reads its CPU (`cpu.py`) and stops
it, in interleaved rounds; `flips.py` times an operator's flips under load; `result.py` is what a run found, `bars.py`
holds it against the bars, `report.py` and `plot.py` write it down. The servers themselves are in `loadtest/peers`.
`growth/` measures what a hit costs as one thing grows: write keys, connections, heads, flips, journals that wait.
"""
