"""Deploy: the command line, and everything on one machine.

`cli.py` assembles the commands of `commands/`, one module a group, each a thin layer over a room of its own: `local.py`
(`run`) over `supervisor.py`, `settings.py`, `doctor.py`, `explain.py`, `verify.py`. It composes gating, collector and
consumers; none of them imports it. This file stays empty of code: `child.py` runs inside every worker.
"""
