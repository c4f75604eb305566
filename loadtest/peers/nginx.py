"""nginx: as a floor (its own empty GIF) and as what people build (Lua gate and a JSON line a kept hit)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores
from loadtest.peers import certificate
from loadtest.peers.certificate import Certificate
from loadtest.peers.gated import count_lines, write_table
from loadtest.peers.server import Place, Running, Server, await_answer, free_port, launch, run, tool

HERE: Final = Path(__file__).with_name("nginx")
MODULES: Final = Path("/usr/lib/nginx/modules")  # where Debian and Ubuntu put them
LUA_MODULES: Final = ("ndk_http_module.so", "ngx_http_lua_module.so")
LUA_PATH: Final = "/usr/share/lua/5.1/?.lua"
PROTOCOLS: Final = "TLSv1.2 TLSv1.3"  # nginx's own default from 1.23.4 on; before it was older ones
BUFFERED: Final = "buffer=64k flush=1s"


def start(template: Path, place: Place, values: dict[str, str], certificate: Certificate | None = None) -> Running:
    """Fill a configuration in, run nginx in the place's folder, wait for its answer; with a certificate: by TLS."""
    folder = place.folder
    words, port, conf = folder / "nginx.words", free_port(), folder / "nginx.conf"
    text = template.read_text()
    values = {**values, "PORT": str(port), "FOLDER": str(folder), "SSL": "", "TLS": ""}
    if certificate is not None:
        tls = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key}; ssl_protocols {PROTOCOLS};"
        values |= {"SSL": " ssl", "TLS": tls}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    conf.write_text(text)
    folder.chmod(0o755)  # started as root, nginx's worker becomes another user
    argv = ["nginx", "-p", str(folder), "-c", str(conf), "-e", "stderr"]
    running = Running(launch(argv, words, place.cores.server), port, words, tls=certificate is not None)
    await_answer(running)
    return running


def version() -> str:
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
        return version()

    def start(self, place: Place) -> Running:
        """Run it; the client's own `Connection` header steers the scenario."""
        return start(HERE / "gif.conf", place, {})


class NginxLua(Server):
    """The competitor: gate and log, with nginx's log buffer or without, over plain TCP or TLS."""

    def __init__(
        self, keys: Sequence[str], *, buffered: bool = True, tls: bool = False, name: str = "nginx-lua"
    ) -> None:
        super().__init__(keys)
        self.name, self.tls = name, tls
        how = f"{BUFFERED}: up to 64 KiB of answered hits are lost when it dies" if buffered else "a write() a hit"
        self._buffer = BUFFERED if buffered else ""
        self._certificate: Certificate | None = None
        self.job = (
            f"nginx + Lua gate ({len(keys):,} keys in a table) + JSON access log of the head's fields to a file "
            f"on disk ({how}), written after the answer, one worker"
        )
        self.job += f"; it ends TLS itself ({certificate.KIND} certificate)" if tls else ""

    def missing(self) -> str | None:
        """It needs nginx and the Lua module as Debian packs them; for TLS `openssl` too."""
        lacks = next((name for name in LUA_MODULES if not (MODULES / name).exists()), None)
        lacks = f"nginx has no {lacks} in {MODULES} (libnginx-mod-http-lua)" if lacks else None
        return tool("nginx") or lacks or (certificate.missing() if self.tls else None)

    def prepare(self, folder: Path, cores: Cores) -> None:  # noqa: ARG002  (as every other server is prepared)
        """Make its certificate."""
        if self.tls:
            self._certificate = certificate.self_signed(folder)

    def version(self) -> str:
        """The program's own line."""
        return version()

    def start(self, place: Place) -> Running:
        """Write the gate's table and run nginx; the client's own `Connection` header steers the scenario."""
        values = {
            "MODULES": "\n".join(f"load_module {MODULES / name};" for name in LUA_MODULES),
            "LUA_PATH": LUA_PATH,
            "HERE": str(HERE),
            "KEYS": str(write_table(place.folder / "keys", self.keys)),
            "BUFFER": self._buffer,
        }
        running = start(HERE / "gate.conf", place, values, self._certificate)
        running.kept = lambda: count_lines(place.folder / "hits.json")
        return running
