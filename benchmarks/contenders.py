"""Who takes part: how each contender is started, what it needs and which rows it can do."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from benchmarks.rows import UNFILTERED, Row

REPOSITORY = Path(__file__).resolve().parent.parent
SERVERS = REPOSITORY / "benchmarks" / "servers"
PEERS_PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"

PRINT_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""

FRAMEWORK_ROWS = frozenset(
    {"text-inline", "text-async", "typed-get-inline", "typed-get-async", "post-json", "idle-memory"}
)
"""What a framework without a thread lane can do.

Where a peer knows no difference between a plain function on the loop and
`async def`, it does both rows with what it has.
"""
BARE_ROWS = frozenset({"text-inline", "text-async", "idle-memory"})
FILTER_ROWS = frozenset({"typed-get-filters", "typed-get-filters-async", "post-json-filters"})
PARKED_ROWS = frozenset({"parked-returned", "parked-yielded", "parked-awaited"})
AWAITED = frozenset({"parked-awaited"})
"""What others can do: let a coroutine, or a callback, wait."""
UPLOAD_ROWS = frozenset({"upload-stream", "upload-file", "upload-form"})

NGINX_UPLOADS = """
    client_max_body_size 0;
    location ~ ^/(stream|file|form)$ {
      root @FOLDER@;
      rewrite ^ /stored break;
      dav_methods PUT;
    }
"""
"""A PUT of the dav module, which has all of a body in a file before it answers."""

Runs = Literal["project", "peers", "program"]


@dataclass(frozen=True)
class Contender:
    """A server that can be started on a port.

    `needs` are Python packages for `runs="project"` (this interpreter) and
    `runs="peers"` (`.venv-peers`), and one program on PATH for `runs="program"`.
    """

    name: str
    runs: Runs
    needs: tuple[str, ...]
    command: tuple[str, ...]
    """Module and arguments, or the whole command of a program."""
    rows: frozenset[str]
    install: str = "python -m benchmarks --install-peers"

    def versions(self) -> dict[str, str]:
        """Versions of what this contender needs; a missing name is not installed."""
        if self.runs == "program":
            return program_version(self.needs[0])
        return package_versions(interpreter(self.runs), self.needs)

    def missing(self) -> str:
        """What is not installed and how to get it, as one line; empty if all is there."""
        names = [name for name in self.needs if name not in self.versions()]
        return f"not installed: {', '.join(names)} ({self.install})" if names else ""

    def command_line(self, port: int, row: Row, folder: Path) -> list[str]:
        """The command that serves `row` on 127.0.0.1:`port`; files may go into `folder`."""
        if self.name == "nginx":
            return [*self.command, "-c", str(write_nginx_settings(port, row, folder))]
        if self.name == "node" and row.tool == "parked":
            return ["node", str(SERVERS / "node_parked.mjs"), str(port)]
        if self.runs == "program":
            return [*self.command, str(port), row.tool]
        module, *arguments = self.command
        if row.filters:
            arguments = [row.filters]
        elif row.tool == "upload":
            module, arguments = "tarry_uploads", [str(folder)]
        elif row.tool == "parked":
            module, arguments = f"{self.name}_parked", []
        python = str(interpreter(self.runs))
        return [python, "-m", f"benchmarks.servers.{module}", str(port), *arguments]


def contender_table() -> tuple[Contender, ...]:
    """Every contender that the benchmarks know, the yardstick first."""
    every = FRAMEWORK_ROWS | FILTER_ROWS | {"text-threads", "http2"}
    threads = FRAMEWORK_ROWS | {"text-threads"}
    bare_http2 = BARE_ROWS | {"http2"}
    node_rows = FRAMEWORK_ROWS - {"text-async", "typed-get-async"} | {"http2"} | AWAITED
    nginx_rows = UPLOAD_ROWS | {"text-inline", "idle-memory", "http2"}
    tarry = ("tarry",), ("tarry_app",)
    hypercorn = ("hypercorn", "h2", "uvloop")
    on_uvicorn = ("uvicorn", "httptools", "uvloop")
    on_zttp = ("uvicorn", "zttp", "uvloop")
    node = ("node", str(SERVERS / "node_server.mjs"))
    return (
        Contender("canned", "project", ("uvloop",), ("canned",), every, "pip install uvloop"),
        Contender(
            "tarry", "project", *tarry, every | UPLOAD_ROWS | PARKED_ROWS, "pip install -e ."
        ),
        Contender(UNFILTERED, "project", *tarry, FILTER_ROWS, "pip install -e ."),
        Contender("nginx", "program", ("nginx",), ("nginx",), nginx_rows, "apt-get install nginx"),
        Contender("node", "program", ("node",), node, node_rows, "apt-get install nodejs"),
        Contender("granian-rsgi", "peers", ("granian",), ("granian_apps", "rsgi"), bare_http2),
        Contender("granian-asgi", "peers", ("granian",), ("granian_apps", "asgi"), bare_http2),
        Contender(
            "granian-wsgi",
            "peers",
            ("granian",),
            ("granian_apps", "wsgi"),
            frozenset({"text-threads"}),
        ),
        Contender(
            "uvicorn", "peers", on_uvicorn, ("uvicorn_raw", "httptools"), BARE_ROWS | AWAITED
        ),
        Contender("uvicorn-zttp", "peers", on_zttp, ("uvicorn_raw", "zttp"), bare_http2),
        Contender("hypercorn", "peers", hypercorn, ("hypercorn_raw",), frozenset({"http2"})),
        Contender("fastapi", "peers", ("fastapi", *on_uvicorn), ("fastapi_app",), threads),
        Contender("litestar", "peers", ("litestar", *on_uvicorn), ("litestar_app",), threads),
        Contender(
            "blacksheep", "peers", ("blacksheep", *on_uvicorn), ("blacksheep_app",), FRAMEWORK_ROWS
        ),
        Contender("sanic", "peers", ("sanic", "uvloop"), ("sanic_app",), FRAMEWORK_ROWS),
        Contender(
            "aiohttp", "peers", ("aiohttp", "uvloop"), ("aiohttp_app",), FRAMEWORK_ROWS | AWAITED
        ),
        Contender("falcon", "peers", ("falcon", *on_uvicorn), ("falcon_app",), FRAMEWORK_ROWS),
    )


def interpreter(runs: Runs) -> Path:
    """The Python that runs a contender: peers have their own, if it has been made."""
    if runs == "peers" and PEERS_PYTHON.exists():
        return PEERS_PYTHON
    return Path(sys.executable)


@cache
def package_versions(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Versions of the packages that `python` can import; missing ones are left out."""
    run = subprocess.run(
        [str(python), "-c", PRINT_VERSIONS, *names], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(run.stdout)
    return found


@cache
def program_version(name: str) -> dict[str, str]:
    """The version that a program reports, or nothing if it is not on PATH."""
    if shutil.which(name) is None:
        return {}
    run = subprocess.run([name, "-v"], capture_output=True, text=True, check=False)
    words = (run.stdout or run.stderr).split()
    return {name: words[-1].removeprefix("nginx/") if words else "unknown"}


def write_nginx_settings(port: int, row: Row, folder: Path) -> Path:
    """Fill in the nginx settings for one port; all files of that nginx stay in `folder`."""
    settings = (SERVERS / "nginx.conf").read_text()
    http2 = " http2" if row.tool == "h2load" else ""
    path = folder / "nginx.conf"
    uploads = NGINX_UPLOADS if row.tool == "upload" else ""
    values = {"UPLOADS": uploads, "FOLDER": str(folder), "PORT": str(port), "HTTP2": http2}
    for name, value in values.items():
        settings = settings.replace(f"@{name}@", value)
    path.write_text(settings)
    return path
