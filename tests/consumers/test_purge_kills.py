"""I12: whoever purges may die before and after any step, on either warehouse: the purge ends, its receipt is right."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "children" / "purge_deaths.py"
STRIDES = {"duckdb": (1, 16), "clickhouse": (1, 40)}
"""Every so many-th step, from a random one on: by `make faults`, and else. A death on ClickHouse costs three starts of
the engine and two seconds in which replaced parts go, on DuckDB less than a second."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", ["duckdb", "clickhouse"])
def test_a_purge_that_dies_at_any_step_ends_with_the_receipt_of_one_that_lives(tmp_path, form):
    """I12: nothing of the account is in any file, all of the others' is there, each thing was counted once."""
    if form == "clickhouse":
        pytest.importorskip("chdb")
    seed, stride = random.randrange(2**32), STRIDES[form][os.environ.get("PIXELGATE_FAULTS") != "long"]
    print(f"seed {seed}")
    command = [sys.executable, str(CHILD), form, str(tmp_path), str(seed), str(stride)]
    child = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:] + child.stdout[-2000:]
    whole, *after, end = map(json.loads, child.stdout.splitlines())
    assert end["steps"] >= 40
    assert len(after) >= end["steps"] // stride - 1
    for told in after:
        assert {**told, "at": "whole"} == whole, told.get("at")
    assert (whole["warehouse"], whole["letters"], whole["bytes"], whole["left"]) == (7, 3, [], [0] * 4)
    assert (whole["else"]["visible"], whole["other_bytes"], whole["owed"]) == (3, True, 0)
    assert (whole["else_letters"], whole["else_poison"]) == (["else"], ["else:v"])
    assert whole["sums"] == [True, 7, 3, []]
