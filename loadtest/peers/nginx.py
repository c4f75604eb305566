"""nginx: as a floor (its own empty GIF) and as what people build (Lua gate and a JSON line a kept hit)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.peers.server import Place, Running, Server, await_answer, free_port, launch, run, tool

HERE: Final = Path(__file__).with_name("nginx")
MODULES: Final = Path("/usr/lib/nginx/modules")  # where Debian and Ubuntu put them
LUA_MODULES: Final = ("ndk_http_module.so", "ngx_http_lua_module.so")
LUA_PATH: Final = "/usr/share/lua/5.1/?.lua"
BUFFERED: Final = "buffer=64k flush=1s"


def _start(template: Path, place: Place, values: dict[str, str]) -> Running:
    """Fill a configuration in, run nginx with `folder` as its prefix, wait for its answer."""
    folder = place.folder
    words, port, conf = folder / "words", free_port(), folder / "nginx.conf"
    text = template.read_text()
    for name, value in {**values, "PORT": str(port), "FOLDER": str(folder)}.items():
        text = text.replace(f"@{name}@", value)
    conf.write_text(text)
    folder.chmod(0o755)  # started as root, nginx's worker becomes another user
    argv = ["nginx", "-p", str(folder), "-c", str(conf), "-e", "stderr"]
    running = Running(launch(argv, words, place.cores.server), port, words)
    await_answer(running)
    return running


def _version() -> str:
    return run(["nginx", "-v"]).strip().removeprefix("nginx version: ")


class NginxGif(Server):
    """nginx's `empty_gif` without a log."""

    name = "nginx-gif"
    job = "nginx empty_gif, one worker: parses, answers the GIF, no gate, no log"

    def missing(self) -> str | None:
        """It needs nginx."""
        return tool("nginx")

    def version(self) -> str:
        """The program's own line."""
        return _version()

    def start(self, place: Place) -> Running:
        """Run it; the client's own `Connection` header steers the scenario."""
        return _start(HERE / "gif.conf", place, {})


class NginxLua(Server):
    """The competitor: gate and log, with nginx's log buffer or without."""

    def __init__(self, keys: Sequence[str], *, buffered: bool = True, name: str = "nginx-lua") -> None:
        super().__init__(keys)
        self.name = name
        how = f"{BUFFERED}: up to 64 KiB of answered hits are lost when it dies" if buffered else "a write() a hit"
        self._buffer = BUFFERED if buffered else ""
        self.job = (
            f"nginx + Lua gate ({len(keys):,} keys in a table) + JSON access log of the head's fields to a file "
            f"on disk ({how}), written after the answer, one worker"
        )

    def missing(self) -> str | None:
        """It needs nginx and the Lua module as Debian packs them."""
        lacks = next((name for name in LUA_MODULES if not (MODULES / name).exists()), None)
        return tool("nginx") or (f"nginx has no {lacks} in {MODULES} (libnginx-mod-http-lua)" if lacks else None)

    def version(self) -> str:
        """The program's own line."""
        return _version()

    def start(self, place: Place) -> Running:
        """Write the gate's table and run nginx; the client's own `Connection` header steers the scenario."""
        table = place.folder / "keys"
        table.write_text("".join(f"{key} account-{at} ACCEPT\n" for at, key in enumerate(self.keys)))
        values = {
            "MODULES": "\n".join(f"load_module {MODULES / name};" for name in LUA_MODULES),
            "LUA_PATH": LUA_PATH,
            "HERE": str(HERE),
            "KEYS": str(table),
            "BUFFER": self._buffer,
        }
        running = _start(HERE / "gate.conf", place, values)
        running.kept = lambda: _lines(place.folder / "hits.json")
        return running


def _lines(path: Path) -> int:
    """Count the log's lines, a block at a time."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
