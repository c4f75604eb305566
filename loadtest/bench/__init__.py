"""The benchmark: servers that answer pixels, one beside the other, on one core, by the CPU a hit costs.

    python -m loadtest.bench

`__main__.py` reads the options, `rounds.py` starts a server, loads it (`wrk.py`; `idle.py`: beside connections that
stay open), reads its CPU (`cpu.py`) and stops it, in interleaved rounds; `flips.py` times an operator's flips under
load; `result.py` is what a run found, `bars.py` holds it against the bars, `report.py` and `plot.py` write it down.
The servers themselves are in `loadtest/peers`.

Further runs, each `python -m loadtest.bench.NAME`: `latency/` at given rates; `delivered/` up to Kafka; `growth/` as
one thing grows; `lifecycle/` for decisions, flips and deadlines; `webhooks.py` with its load `webhook_load.py`;
`scaled.py` for several hosts (`carried.py` journals and Kafka, `away.py` without Kafka); `keys.py` for a million of
them.

What they share: `pace.c`, run by `pace.py`, is a load that waits for nobody; `machine.py` says where a run was,
`stats.py` reckons.
"""
