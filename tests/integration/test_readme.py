"""The README's first five minutes, run as a reader would."""

import os
import re
import subprocess

import pytest

from tests.processes import ROOT, environment
from tests.system import System

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def system(tmp_path):
    system = System(tmp_path)
    with system.running():
        yield system


def test_the_readmes_commands_do_what_they_say(system, tmp_path):
    commands = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) > 10
    script = "set -e\n" + "\n".join(f"echo '$' {index}\n{command}" for index, command in enumerate(commands))
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script.replace(":8080", f":{system.port}")], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=120, env={**environment(system.data), "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert (tmp_path / "pixel.gif").read_bytes().startswith(b"GIF89a")
    assert '{"received":2}' in done.stdout
    assert len((tmp_path / "events.ndjson").read_text().splitlines()) == 4
