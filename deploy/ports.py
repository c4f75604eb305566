"""Ports: is one free, and where does a server listen as a person writes it.

Workers share their port by SO_REUSEPORT, which would also let them share it with a stranger who does the same: so the
supervisor binds it plainly once, before the first worker exists.
"""

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Final

from deploy.errors import Misused, PortBusy
from gating.errors import Unreachable

WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to
ANSWER_SECONDS: Final = 1.0
LINUX: Final = sys.platform == "linux"


def demand_free(host: str, port: int, option: str) -> None:
    """Raise PortBusy where somebody listens on the port already; `option` is how to name another.

    Between this look and the worker's own bind another process can still take the port; then the worker fails.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise Misused(f"host {host!r} cannot be resolved: {error.strerror}; give an address of this machine") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind(address)
        except OSError as error:
            raise _why_not(error, host, port, option) from error


def _why_not(error: OSError, host: str, port: int, option: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return PortBusy(f"port {port} on {host} is busy: stop what listens there, or give another by {option}")
    if error.errno == errno.EACCES:
        return Unreachable(f"port {port} on {host} is not allowed for this user; give one above 1023 by {option}")
    return Misused(f"cannot listen on {host} port {port}: {error.strerror}; give an address of this machine")


def url_of(host: str, port: int, scheme: str = "http") -> str:
    """The address to open in a browser on this machine."""
    name = "127.0.0.1" if host in WILDCARDS else host
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def free_port(host: str) -> int:
    """A port of this host that was free a moment ago."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def answers(host: str, port: int) -> bool:
    """Tell whether somebody accepts connections on a port."""
    try:
        socket.create_connection(("127.0.0.1" if host in WILDCARDS else host, port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def unix_answers(path: Path) -> bool:
    """Tell whether somebody accepts connections at a Unix socket, however long its path (sun_path has 107 bytes)."""
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(ANSWER_SECONDS)
            probe.connect(f"/proc/self/fd/{directory}/{path.name}" if LINUX else str(path))
    except OSError:
        return False
    finally:
        os.close(directory)
    return True
