from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tarry.commands.cli import main
from tarry.server.settings import ServerSettings
from tarry.testing import SocketClient

ROOT = Path(__file__).parent.parent.parent
QUICKSTART = str(ROOT / "examples" / "quickstart.py")
TIMEOUT_S = 30


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """What a command puts on `sys.path` goes away again."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tarry", *arguments]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A running command, which is ended by its pid whatever happens."""
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    """Where it serves, as soon as it says so; a command that ends instead fails here."""
    for line in process.stderr:
        if found := re.search(r"serving (http://\S+)", line):
            return found[1]
    raise AssertionError("the command ended without serving")


# ---- run ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_serves_on_the_port_it_prints_until_it_is_told_to_stop(number):
    with started("run", QUICKSTART, "--port", "0") as process:
        url = url_of(process)
        assert not url.endswith(":0")
        with SocketClient(url) as client:
            assert client.get("/hello/you").json() == {"hello": ["you"]}
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 0
    assert '"GET /hello/you HTTP/1.1" 200' in err
    assert out == ""


def test_run_takes_its_settings():
    with started(
        "run", f"{QUICKSTART}:app", "--host", "::1", "--port=0", "--loop=asyncio", "--no-access-log"
    ) as process:
        url = url_of(process)
        assert url.startswith("http://[::1]:")
        with SocketClient(url) as client:
            assert client.get("/").status == 200
        process.terminate()
        _, err = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 0
    assert "GET" not in err


def test_run_says_in_one_line_that_the_port_is_in_use(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status = main(["run", QUICKSTART, "--port", str(port)])

    assert status == 1
    err = capsys.readouterr().err
    assert err.startswith(f"tarry: cannot listen on 127.0.0.1:{port}: it is in use")
    assert err.count("\n") == 1


def test_run_says_that_a_host_is_unknown(capsys):
    assert main(["run", QUICKSTART, "--host", "no.such.host.invalid"]) == 1
    assert capsys.readouterr().err.startswith('tarry: the host "no.such.host.invalid" is unknown')


# ---- routes ------------------------------------------------------------------------------


def test_routes_prints_the_tree(capsys):
    assert main(["routes", QUICKSTART]) == 0

    out = capsys.readouterr().out
    assert "├─ hello" in out
    assert "{number:int}" in out


def test_routes_prints_a_table(capsys):
    assert main(["routes", "--table", QUICKSTART]) == 0

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["METHODS", "PATH", "HANDLER"]
    assert "GET      /notes/{number:int}  read_note" in rows


def test_routes_of_an_app_without_any(capsys, tmp_path):
    file = tmp_path / "empty_app.py"
    file.write_text("from tarry import App\napp = App()\n")

    assert main(["routes", str(file)]) == 0
    assert capsys.readouterr() == ("", f"tarry: {file} has no routes\n")


@pytest.mark.parametrize("arguments", [["routes", "nix.py"], ["run", "nix.py"]])
def test_a_command_that_fails_says_why_in_one_line(capsys, arguments):
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        "tarry: there is no file nix.py; is the current folder the right one?\n"
    )


def test_routes_ends_quietly_when_nobody_reads():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        process = subprocess.run(
            command("routes", QUICKSTART), stdout=closed, stderr=subprocess.PIPE, timeout=TIMEOUT_S
        )

    assert (process.returncode, process.stderr) == (1, b"")


# ---- the command line -----------------------------------------------------------------------


def test_version(capsys):
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"tarry {importlib.metadata.version('tarry')}\n"


def test_version_imports_nothing_that_it_does_not_need():
    """Nothing beyond the package itself and the parser of arguments."""
    listed = "print(*sorted(sys.modules), file=sys.stderr)"
    modules = [
        subprocess.run(
            [sys.executable, "-c", f"import sys, argparse, {code}; {listed}"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        ).stderr.split()
        for code in ("shutil, tarry", "tarry.commands.cli as c; c.main(['version'])")
    ]

    new = {name.partition(".")[0] for name in set(modules[1]) - set(modules[0])}
    assert new <= {"tarry", "gettext", "locale", "shutil", "csv"}, new
    assert "tarry.commands.loading" not in modules[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "FILE[:NAME]"),
        (["fly"], "invalid choice: 'fly'"),
        (["run", QUICKSTART, "--port", "http"], "must be a number from 0 to 65535, not 'http'"),
        (["run", QUICKSTART, "--port", "65536"], "must be a number from 0 to 65535"),
        (["run", QUICKSTART, "--port", "-1"], "must be a number from 0 to 65535"),
        (["run", QUICKSTART, "--port", "²"], "must be a number from 0 to 65535"),
        (["run", QUICKSTART, "--loop", "epoll"], "invalid choice: 'epoll'"),
        (["run", QUICKSTART, "--nix"], "unrecognized arguments: --nix"),
        ([], "print the version"),
    ],
)
def test_a_command_line_that_cannot_be_read(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["routes", "--help"]])
def test_help(capsys, arguments):
    assert main(arguments) == 0
    assert "usage: tarry" in capsys.readouterr().out


def test_help_tells_the_defaults_of_the_server(capsys):
    main(["run", "--help"])

    out = capsys.readouterr().out
    defaults = ServerSettings()
    assert f"({defaults.host};" in out
    assert f"({defaults.port};" in out
    assert f"({defaults.loop}:" in out
