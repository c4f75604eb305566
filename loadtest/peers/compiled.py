"""Peers in Go and Rust, built from the sources beside this file. With a file: gate and a JSON line a kept hit, as nginx
+ Lua does; `franz.py` has the one that goes on to Kafka.

A program is kept under `build/peers`, named by what it was built from, so a later run needs no compiler. Where there is
none, or its libraries cannot be fetched, the peer is skipped with that reason.
"""

import hashlib
import re
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores
from loadtest.peers.gated import count_lines, write_table
from loadtest.peers.server import Place, Running, Server, ServerFailed, await_answer, free_port, launch, run, tool

HERE: Final = Path(__file__).parent
BUILDS: Final = Path("build/peers")
BUILT_BY: Final = ".built-by"
JOB: Final = (
    "gate ({keys:,} keys in a map) + JSON line of nginx + Lua's fields to a file on disk (buffers of 64 KiB, flushed "
    "each second), its file written after the answer, {how}"
)


class LibrariesMissing(ServerFailed):
    """The compiler is too old, or cannot fetch the libraries: nothing that is wrong with the peer."""


class Compiled(Server):
    """One program, called with a port, the gate's table and the file for its lines.

    sources: the folder it is built from; compiler: the command that builds it.
    """

    sources: Path
    compiler: str

    def __init__(self, keys: Sequence[str], builds: Path = BUILDS) -> None:
        super().__init__(keys)
        self.program = builds.absolute() / f"{self.name}-{digest(self.sources)}"

    def missing(self) -> str | None:
        """It needs its compiler, unless an earlier run has built it."""
        return None if self.program.exists() else tool(self.compiler)

    def prepare(self, folder: Path, cores: Cores) -> None:  # noqa: ARG002  (as every other server is prepared)
        """Build it, unless an earlier run has. Raises LibrariesMissing, ServerFailed with the compiler's last words."""
        if self.program.exists():
            return
        self.program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=self.program.parent) as name:
            try:
                self.fetch()
            except ServerFailed as error:
                raise LibrariesMissing(str(error)) from error
            made = self.build(Path(name))
            built_by = self.program.with_suffix(BUILT_BY)
            built_by.write_text(run([self.compiler, "version" if self.compiler == "go" else "--version"]))
            made.rename(self.program)

    @abstractmethod
    def fetch(self) -> None:
        """Fetch its libraries, as they are pinned. Raises ServerFailed."""

    @abstractmethod
    def build(self, folder: Path) -> Path:
        """Build it in an empty folder; returns the program. Raises ServerFailed."""

    @abstractmethod
    def library(self) -> str:
        """Name the library that answers, and its version, as they are pinned."""

    def version(self) -> str:
        """The library's version, and the compiler's that has built the program."""
        return f"{self.library()}, {self.program.with_suffix(BUILT_BY).read_text().strip().removeprefix('go version ')}"

    def start(self, place: Place) -> Running:
        """Run it; the client's own `Connection` header steers the scenario."""
        words, port, hits = place.folder / "words", free_port(), place.folder / "hits.json"
        table = write_table(place.folder / "keys", self.keys)
        argv = [str(self.program), str(port), str(table), str(hits)]
        running = Running(launch(argv, words, place.cores.server), port, words)
        running.kept = lambda: count_lines(hits)
        await_answer(running)
        return running


class GoProgram(Compiled):
    """One command of the Go peers' module. command: its folder there."""

    sources, compiler = HERE / "go", "go"
    command: str

    def fetch(self) -> None:
        """As `go.sum` pins them; Go fetches a newer Go too, where it may."""
        run(["go", "mod", "download", "-C", self.sources])

    def build(self, folder: Path) -> Path:
        """Without C."""
        made, options = folder / "program", ("-mod=readonly", "-trimpath", "-buildvcs=false")
        run(["env", "CGO_ENABLED=0", "go", "build", "-C", self.sources, *options, "-o", made, f"./{self.command}"])
        return made

    def library(self) -> str:
        """As `go.mod` says."""
        return "fasthttp " + pinned(self.sources / "go.mod", r"valyala/fasthttp (v\S+)")


class GoFasthttp(GoProgram):
    """Go's fasthttp with a file."""

    name, command = "go-fasthttp", "file"

    def __init__(self, keys: Sequence[str], builds: Path = BUILDS) -> None:
        super().__init__(keys, builds)
        self.job = "Go fasthttp + " + JOB.format(keys=len(keys), how="GOMAXPROCS=1")


class RustHyper(Compiled):
    """Rust's hyper on Tokio."""

    name, sources, compiler = "rust-hyper", HERE / "hyper", "cargo"

    def __init__(self, keys: Sequence[str], builds: Path = BUILDS) -> None:
        super().__init__(keys, builds)
        self.job = "Rust hyper + " + JOB.format(keys=len(keys), how="Tokio's current_thread, release build with LTO")

    def fetch(self) -> None:
        """As `Cargo.lock` pins them."""
        manifest = self.sources / "Cargo.toml"
        oldest, found = pinned(manifest, r'^rust-version = "([0-9.]+)"'), run(["cargo", "--version"]).split()[1]
        if _numbers(found) < _numbers(oldest):
            raise ServerFailed(f"cargo {found} is older than what its libraries need, {oldest}")
        run(["cargo", "fetch", "--locked", "--manifest-path", manifest])

    def build(self, folder: Path) -> Path:
        """By the release profile."""
        manifest = self.sources / "Cargo.toml"
        run(["cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", folder / "target"])
        return folder / "target" / "release" / "hyper-peer"

    def library(self) -> str:
        """As `Cargo.toml` says."""
        manifest = self.sources / "Cargo.toml"
        return ", ".join(f"{name} {pinned(manifest, rf'^{name} = .*?=([0-9][0-9.]+)')}" for name in ("hyper", "tokio"))


def digest(sources: Path) -> str:
    """Name a folder's contents, so that no program outlives the sources it was built from."""
    told = hashlib.sha256()
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        content = path.read_bytes()
        told.update(f"{path.relative_to(sources)} {len(content)}\n".encode() + content)
    return told.hexdigest()[:16]


def pinned(manifest: Path, pattern: str) -> str:
    """What the pattern's group finds in a manifest; "?" where it finds nothing."""
    found = re.search(pattern, manifest.read_text(), re.MULTILINE)
    return found.group(1) if found else "?"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
