"""I10 on ClickHouse, which has no transaction: a death between any two statements loses nothing and doubles nothing."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "children" / "clickhouse_kills.py"
STRIDE = {"long": 1}.get(os.environ.get("PIXELGATE_FAULTS", ""), 8 if os.environ.get("CI") else 16)
"""Every so many-th statement, from a random one on: a death costs up to three starts of the engine, some 2 s each. All
67 were tried when this was written, by STRIDE 1."""


@pytest.mark.timeout(1200)
def test_a_consumer_killed_before_any_statement_leaves_what_one_that_lives_does(tmp_path, clickhouse_engine):
    """I10, I11: batches, a settlement, events sent again, announcements; the successor cuts its batches otherwise."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    command = [sys.executable, str(CHILD), str(tmp_path), str(seed), str(STRIDE)]
    child = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:] + child.stdout[-2000:]
    whole, *after = map(json.loads, child.stdout.splitlines())
    assert len(after) > 60 // STRIDE
    for told in after:
        assert {**told, "at": "whole"} == whole, told.get("at")
    assert whole["sums"]["journals"]["a1" * 16] == {"events": 5, "settled_away": 1, "duplicate": 3, "missing": 3}
    assert (whole["visible"], whole["leaving"]) == (11, 0)
