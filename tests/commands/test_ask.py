from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from tarry.client import Desk
from tarry.commands.cli import main
from tests.client.asked import Server

TIMEOUT_S = 30


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def tarry(capsys):
    """Runs a command: its status, what it prints, and what it prints as an error."""

    def run(*arguments):
        status = main(["ask", *arguments])
        return status, *capsys.readouterr()

    return run


def start(*arguments, **streams):
    command = [sys.executable, "-m", "tarry", "ask", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, **streams)


def test_an_answer_is_printed(tarry, server):
    assert tarry(f"{server.url}/answer/object") == (0, '{\n  "ok": true\n}\n', "")
    assert tarry(f"{server.url}/answer/text") == (0, "täxt", "")
    assert tarry(f"{server.url}/answer/none") == (0, "", "")


def test_an_answer_that_is_no_text_is_printed_as_it_is(server, capsysbinary):
    assert main(["ask", f"{server.url}/answer/bytes"]) == 0
    assert capsysbinary.readouterr() == (b"\0\1", b"")


def test_an_answer_that_is_no_text_does_not_go_to_a_terminal(tarry, server, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, out, err = tarry(f"{server.url}/answer/bytes")

    assert (status, out) == (1, "")
    assert "--output" in err


def test_json_method_and_headers_are_sent(tarry, server):
    headers = ["-H", "Authorization: Bearer x", "--header", "Accept:text/x"]
    _, out, _ = tarry(f"{server.url}/echo", '{"a": 1}', "--method", "PUT", *headers)
    told = json.loads(out)

    assert (told["method"], told["body"]) == ("PUT", '{"a": 1}')
    assert (told["authorization"], told["accept"]) == ("Bearer x", "text/x")


def test_json_may_come_from_standard_input(tarry, server, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1]"))
    _, out, _ = tarry(f"{server.url}/echo", "-")

    assert json.loads(out)["body"] == "[1]"


def test_an_answer_is_written_to_a_file(tarry, server, tmp_path):
    file = tmp_path / "answer"

    assert tarry(f"{server.url}/answer/bytes", "-o", str(file)) == (0, "", "")
    assert file.read_bytes() == b"\0\1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("ftp://host/",),
        ("http://host/", "{"),
        ("http://host/", "--header", "no colon"),
        ("http://host/", "--timeout", "soon"),
        ("http://host/", "--method", "A B"),
    ],
)
def test_what_cannot_be_sent_is_a_wrong_command_line(tarry, arguments):
    status, out, err = tarry(*arguments)

    assert (status, out) == (2, "")
    assert err.startswith("tarry: ")
    assert err.count("\n") == 1


def test_an_error_is_told_in_one_line(tarry, server):
    assert tarry(f"{server.url}/refused") == (1, "", "tarry: there is one already (409)\n")


def test_a_server_that_is_not_there_in_time_is_told(tarry):
    status, _, err = tarry("http://127.0.0.1:1/", "--timeout", "10ms")

    assert (status, err) == (1, "tarry: the answer did not come in the time given\n")


def test_a_file_that_cannot_be_written_is_told(tarry, server, tmp_path):
    status, _, err = tarry(f"{server.url}/answer/text", "-o", str(tmp_path / "no" / "answer"))

    assert status == 1
    assert "No such file" in err
    assert err.count("\n") == 1


# ---- while it takes long ---------------------------------------------------------------------


@pytest.mark.parametrize(("options", "state"), [((), "cancelled"), (("--keep",), "waiting")])
def test_ctrl_c_cancels_unless_told_otherwise(server, options, state):
    with start(f"{server.url}/slow", *options, stderr=subprocess.PIPE) as process:
        server.until(lambda: any("/t/tk_" in path for _, path, _ in server.requests))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT_S)

    assert (process.returncode, out, err) == (130, b"", b"")
    with Desk(server.store) as desk:
        assert desk.find(server.wait.ticket).state == state


def test_a_terminal_shows_how_far_it_is_and_then_nothing_of_it(server):
    terminal, side = pty.openpty()
    with start(f"{server.url}/slow", stderr=side) as process:
        os.close(side)
        server.until(lambda: server.waits)
        server.wait.progress(1, 4, "dra\x1bwing")
        shown = read_until(terminal, "wing")
        server.wait.progress(2, 4)
        shown += read_until(terminal, "2/4")
        server.wait.wake("done")
        shown += read_until_end(terminal)
        assert process.communicate(timeout=TIMEOUT_S)[0] == b"done"
    os.close(terminal)

    lines = [re.sub(r"\x1b\[K", "", each) for each in shown.split("\r")]
    assert "██████░░░░░░░░░░░░░░░░░░ 1/4 dra\ufffdwing" in lines
    assert "████████████░░░░░░░░░░░░ 2/4" in lines
    assert lines[-1] == ""


def read_until(terminal, text):
    """What the terminal shows up to some text."""
    shown = b""
    while text.encode() not in shown:
        shown += os.read(terminal, 4096)
    return shown.decode(errors="replace")


def read_until_end(terminal):
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # EIO: nobody has it open any more
            return shown.decode()
        if not piece:
            return shown.decode()
        shown += piece
