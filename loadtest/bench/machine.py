"""The machine's description: what a reader needs to judge the figures, and nothing that names the machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from loadtest.bench.cpu import Cores


def describe(cores: Cores, work: Path) -> dict[str, str]:
    """Describe processor, cores, system, versions, the disk below `work`, and how busy the machine was before."""
    granted = sorted(os.sched_getaffinity(0))
    shared = "" if cores.server != cores.load else " (the same: one core is granted, figures include the contention)"
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "virtual": "yes" if "hypervisor" in _field(Path("/proc/cpuinfo"), "flags").split() else "no or not told",
        "cores": f"{len(granted)}: server on core {cores.server}, load on core {cores.load}{shared}",
        "memory": f"{int(_field(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 2**20:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools")),
        "files on": filesystem(work),
        "load average before": f"{os.getloadavg()[0]:.2f} (1 minute; a quiet machine shows nearly 0)",
    }


def _field(path: Path, name: str) -> str:
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def filesystem(path: Path) -> str:
    """Name the file system a folder lies on: its longest mount point wins."""
    found, kind = "", "unknown"
    where = str(path.resolve())
    for line in Path("/proc/mounts").read_text(errors="replace").splitlines():
        _, point, of, *_ = line.split()
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(found):
            found, kind = point, of
    return kind
