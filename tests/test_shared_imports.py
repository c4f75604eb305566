"""SHARED modules load in every process, the hot one included: they may pull in nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = frozenset(
    ("starlette", "redis", "aiokafka", "sqlalchemy", "fastapi", "pydantic", "uvicorn", "duckdb", "alembic", "typer")
)


@pytest.mark.parametrize(
    "module", ["gating.status", "gating.feed", "collector.event", "collector.hit", "collector.publishers"]
)
def test_a_shared_module_loads_nothing_heavy(module: str) -> None:
    """DESIGN 3: shared words need the standard library and orjson alone. A fresh interpreter has loaded nothing yet."""
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert HEAVY.isdisjoint(run.stdout.split())
