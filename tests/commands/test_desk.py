from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from tarry import App
from tarry.client import Desk
from tarry.commands.cli import main
from tarry.testing import Client

TIMEOUT_S = 30


@pytest.fixture
def address(tmp_path):
    return f"sqlite:{tmp_path / 'state.db'}"


@pytest.fixture
def app(address):
    app = App(store=address)

    @app.get("/slow/{key}", inline=True)
    def slow(key: str):
        return app.park(int, key=key, durable=True, timeout="2h")

    with Client(app) as client:
        client.get("/slow/k", headers={"prefer": "respond-async"})
        yield app


@pytest.fixture
def desk(app, address):
    with Desk(address) as desk:
        yield desk


@pytest.fixture
def tarry(app, address, capsys):
    """Runs a command: its status, what it prints, and what it prints as an error."""

    def run(*arguments):
        status = main([*arguments, "--store", address])
        return status, *capsys.readouterr()

    return run


# ---- settling --------------------------------------------------------------------------------


def test_the_first_wake_succeeds_and_later_ones_say_that_it_was_settled(tarry, desk):
    assert tarry("wake", "k", "5") == (0, "", "")
    assert desk.wait("k") == 5
    assert tarry("wake", "k", "6") == (1, "", "tarry: it was settled already: done\n")


def test_a_token_wakes(tarry, app, desk):
    wait = app.park(list[int], durable=True)

    assert tarry("wake", wait.token, "[1, 2]") == (0, "", "")
    assert desk.wait(wait.ticket) == [1, 2]


def test_text_is_taken_as_it_is(tarry, app, desk):
    app.park(str, durable=True, key="text").share()

    assert tarry("wake", "text", "--text", "5 apples")[0] == 0
    assert desk.wait("text") == "5 apples"


def test_a_negative_number_is_a_value(tarry, desk):
    assert tarry("wake", "k", "-5")[0] == 0
    assert desk.wait("k") == -5


def test_a_value_that_does_not_fit_is_told_and_the_wait_goes_on(tarry, desk):
    status, out, err = tarry("wake", "k", '"five"')

    assert (status, out) == (1, "")
    assert err.startswith("tarry: the value ")
    assert err.endswith("int is waited for\n")
    assert err.count("\n") == 1
    assert desk.find("k").state == "waiting"


def test_a_value_that_is_no_json_is_a_wrong_command_line(tarry, desk):
    status, out, err = tarry("wake", "k", "five")

    assert (status, out) == (2, "")
    assert "--text" in err
    assert err.count("\n") == 1
    assert desk.find("k").state == "waiting"


def test_a_wake_that_comes_early_is_kept(tarry):
    status, out, _ = tarry("wake", "later", "1")

    assert status == 0
    assert "nobody waits under this key yet" in out
    assert tarry("wake", "later", "1")[0] == 1


def test_fail_tells_a_status_and_a_sentence(tarry, desk):
    assert tarry("fail", "k", "no money", "--status", "402") == (0, "", "")
    assert desk.find("k").state == "failed"
    assert tarry("fail", "k") == (1, "", "tarry: it was settled already: failed\n")


def test_cancel_takes_a_ticket(tarry, desk):
    [row] = desk.waits()

    assert tarry("cancel", row.ticket) == (0, "", "")
    assert tarry("cancel", row.ticket) == (1, "", "tarry: it was settled already: cancelled\n")


def test_a_ticket_does_not_wake_and_what_does_is_told(tarry, desk):
    [row] = desk.waits()

    status, _, err = tarry("wake", row.ticket, "5")

    assert status == 1
    assert "its token, or its key" in err


@pytest.mark.parametrize("name", ["nobody", "tk_" + "a" * 34])
def test_an_unknown_wait_is_told_without_its_secret(tarry, name):
    status, out, err = tarry("cancel", name)

    assert (status, out) == (1, "")
    assert err.startswith("tarry: nobody knows a wait ")
    assert "a" * 20 not in err


# ---- looking ---------------------------------------------------------------------------------


def test_waits_are_a_table(tarry, desk):
    desk.progress("k", 1, 4, "drawing")

    status, out, _ = tarry("waits")

    headings, row = out.splitlines()
    assert status == 0
    assert headings.split() == ["TICKET", "STATE", "KEY", "PATH", "AGE", "LEFT", "PROGRESS"]
    assert row.split()[1:4] == ["working", "k", "/slow/k"]
    assert "2.0 h" in row
    assert row.endswith("1/4 drawing")
    assert desk.waits()[0].ticket not in out


def test_waits_as_json_have_their_tickets(tarry, desk):
    desk.progress("k", 1, text="drawing")

    [wait] = json.loads(tarry("waits", "--json")[1])

    assert wait["ticket"] == desk.waits()[0].ticket
    assert wait["progress"] == {"at": 1, "of": None, "text": "drawing"}
    assert wait["durable"] is True


def test_waits_in_a_state(tarry):
    assert "waiting" in tarry("waits", "--state", "waiting")[1]
    assert tarry("waits", "--state", "done")[1] == "nobody waits\n"
    status, _, err = tarry("waits", "--state", "sleeping")
    assert status == 2
    assert "waiting" in err


def test_a_key_does_nothing_to_the_terminal(tarry, app):
    app.park(int, durable=True, key="\x1b[31mred\n").share()

    assert "\x1b" not in tarry("waits")[1]


def test_watch_needs_a_terminal(tarry):
    status, _, err = tarry("waits", "--watch")

    assert status == 2
    assert "--watch needs a terminal" in err


def test_watch_shows_what_others_write(app, desk, address):
    terminal, end = pty.openpty()
    size = {"LINES": "10", "COLUMNS": "120"}
    command = [sys.executable, "-m", "tarry", "waits", "--watch", "--store", address]
    with subprocess.Popen(
        command, stdout=end, stderr=subprocess.PIPE, env={**os.environ, **size}
    ) as process:
        try:
            os.close(end)
            read_until(terminal, b"waiting")
            desk.wake("k", 5)
            read_until(terminal, b"done")
            for number in range(20):
                app.park(int, durable=True, key=f"many-{number}").share()
            assert b"\x1b[" in read_until(terminal, b"more")
            process.send_signal(2)
            assert process.wait(TIMEOUT_S) == 130
            assert process.stderr.read() == b""
        finally:
            process.kill()
            os.close(terminal)


def read_until(terminal, expected):
    """What is shown up to a text; a text that never comes ends the test by its time limit."""
    shown = b""
    while expected not in shown:
        shown += os.read(terminal, 4096)
    return shown


# ---- stores ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["waits"], ["wake", "k", "1"], ["fail", "k"], ["cancel", "k"]])
def test_a_store_that_is_not_there_is_told_and_not_made(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(command) == 1
    err = capsys.readouterr().err

    assert err.startswith(f"tarry: there is no store {tmp_path}/.tarry/state.db")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_broken_is_told(capsys, tmp_path):
    (tmp_path / "state.db").write_bytes(b"no database" * 500)

    assert main(["waits", "--store", f"sqlite:{tmp_path}/state.db"]) == 1
    err = capsys.readouterr().err
    assert "is no database" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["waits", "--store", "redis://"], "is no store"),
        (["wake", "k"], "JSON"),
        (["fail", "k", "--status", "200"], "from 400 to 599"),
        (["waits", "--json", "--watch"], "not allowed with"),
    ],
)
def test_a_command_line_that_cannot_be_read(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["waits", "wake", "fail", "cancel"])
def test_help(capsys, name):
    assert main(["--help"]) == 0
    assert f"\n    {name} " in capsys.readouterr().out
    assert main([name, "--help"]) == 0
    assert "--store" in capsys.readouterr().out
