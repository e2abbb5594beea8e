from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tarry
from tarry.client import Desk, RequestFailed, RequestTimeout, request
from tests.client.scripted import (
    HOLD,
    RESET,
    TICKET,
    Scripted,
    answer,
    document,
    events,
    json_answer,
    ticket,
)

DONE = ("done", document(9, "done", value="there"))

# ---- an answer that comes at once ------------------------------------------------------------


def test_an_answer_that_is_there_comes_at_once_and_without_a_ticket(server, ask):
    assert ask(f"{server.url}/answer/object") == {"ok": True}
    assert (ask.news, ask.pauses) == ([], [])
    assert len(server.requests) == 1


def test_a_payload_is_sent_as_json_with_post(server, ask):
    told = ask(f"{server.url}/echo", {"text": "ä"})

    assert told["method"] == "POST"
    assert told["body"] == '{"text": "\\u00e4"}'
    assert told["content-type"] == "application/json"


def test_without_a_payload_it_is_a_get(server, ask):
    told = ask(f"{server.url}/echo")

    assert (told["method"], told["body"], told["content-type"]) == ("GET", "", None)


def test_a_method_and_headers_of_the_caller_are_taken(server, ask):
    headers = {"Authorization": "Bearer x", "ACCEPT": "text/x", "Idempotency-Key": "mine"}
    told = ask(f"{server.url}/echo", 1, method="put", headers=headers)

    assert told["method"] == "PUT"
    assert (told["authorization"], told["accept"], told["idempotency-key"]) == (
        "Bearer x", "text/x", "mine",
    )  # fmt: skip


def test_the_server_is_told_how_long_to_wait_before_it_gives_a_ticket(server, ask):
    assert ask(f"{server.url}/echo", wait=7)["prefer"] == "respond-async, wait=7"
    assert request(f"{server.url}/echo")["prefer"] == "respond-async, wait=1"


def test_each_call_has_a_key_of_its_own(server, ask):
    keys = {ask(f"{server.url}/echo")["idempotency-key"] for _ in range(3)}

    assert len(keys) == 3


def test_a_url_is_quoted_where_that_was_left_out(server, ask):
    with Scripted(json_answer(200, b"1")) as scripted:
        assert ask(f"{scripted.url}/ä b?q=ö%20&c=[1]#part") == 1
        assert scripted.requests[0].target == "/%C3%A4%20b?q=%C3%B6%20&c=[1]"


def test_an_error_has_status_and_problem(server, ask):
    with pytest.raises(RequestFailed, match="there is one already") as caught:
        ask(f"{server.url}/refused")

    assert (caught.value.status, caught.value.state, caught.value.ticket) == (409, "failed", None)
    assert caught.value.problem["number"] == 7
    assert len(server.requests) == 1


def test_an_error_without_a_document_is_told_by_its_status(ask):
    with (
        Scripted(answer(418, b"<p>no", content_type="text/html")) as scripted,
        pytest.raises(RequestFailed, match=r"^418 Said$") as caught,
    ):
        ask(scripted.url)

    assert (caught.value.status, caught.value.problem) == (418, None)


def test_a_202_without_a_ticket_is_an_answer(ask):
    with Scripted(json_answer(202, b'"taken"', location="/orders/7")) as scripted:
        assert ask(scripted.url, {}) == "taken"


@pytest.mark.parametrize(
    "url",
    ["", "/path", "ftp://host/", "http:///x", "http://user@host/", "http://h:99999/", "http://a b/",
     "http://a\0b/", "http://a..b/"],
)  # fmt: skip
def test_a_url_that_nothing_can_be_sent_to_is_an_error_of_the_caller(ask, url):
    with pytest.raises(ValueError, match=r".") as caught:
        ask(url)

    assert not isinstance(caught.value, OSError)
    assert ask.pauses == []


@pytest.mark.parametrize(
    "options",
    [
        {"method": "GE T"},
        {"headers": {"x": "a\r\nb: c"}},
        {"headers": {"a b": "c"}},
        {"payload": float("nan")},
        {"timeout": "soon"},
        {"away": -1},
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_caller(server, ask, options):
    with pytest.raises(ValueError, match=r"."):
        ask(f"{server.url}/echo", **options)

    assert server.requests == []


def test_a_payload_that_has_no_form_in_json_is_an_error_of_the_caller(server, ask):
    with pytest.raises(TypeError, match="datetime"):
        ask(f"{server.url}/echo", {"at": datetime.datetime.now(datetime.UTC)})


# ---- redirects -------------------------------------------------------------------------------


def test_a_redirect_on_the_same_origin_is_followed(server, ask):
    assert ask(f"{server.url}/answer/elsewhere") == {"ok": True}


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (301, "GET", b""),
        (302, "GET", b""),
        (303, "GET", b""),
        (307, "POST", b"[1]"),
        (308, "POST", b"[1]"),
    ],
)
def test_only_307_and_308_send_the_payload_on(ask, status, method, body):
    with Scripted(answer(status, location="/b"), json_answer(200, b"1")) as scripted:
        assert ask(f"{scripted.url}/a", [1]) == 1

    second = scripted.requests[1]
    assert (second.method, second.target, second.body) == (method, "/b", body)
    assert ("content-type" in second.headers) is bool(body)


def test_a_redirect_to_another_origin_is_not_followed(server, ask):
    with Scripted(json_answer(200, b"1")) as other:
        with (
            Scripted(answer(303, location=f"{other.url}/secret")) as scripted,
            pytest.raises(RequestFailed, match=f"another origin, {other.url}$") as caught,
        ):
            ask(scripted.url, headers={"authorization": "Bearer x"})
        assert other.requests == []

    assert caught.value.status == 303


def test_ten_redirects_are_followed_and_one_more_is_not(ask):
    turn = answer(303, location="/")
    with Scripted(*[turn] * 10, json_answer(200, b"1")) as scripted:
        assert ask(scripted.url) == 1
    with Scripted(*[turn] * 11) as scripted:
        with pytest.raises(RequestFailed, match="more than 10 redirects"):
            ask(scripted.url)
        assert len(scripted.requests) == 11


def test_a_redirect_to_a_ticket_is_followed_to_its_end(ask):
    steps = [answer(303, location=TICKET), json_answer(200, document(1)), events(DONE)]
    with Scripted(*steps) as scripted:
        assert ask(scripted.url, {}) == "there"


# ---- tickets ---------------------------------------------------------------------------------


def test_a_ticket_is_followed_to_its_value_with_progress_in_order(server, ask):
    def go_on(ticket):
        if ticket.rev <= 3:
            assert server.wait.progress(ticket.rev, 3, f"step {ticket.rev}")
        else:
            server.wait.wake({"file": "film.mp4"})

    assert ask(f"{server.url}/slow", {}, on_progress=go_on) == {"file": "film.mp4"}

    assert ask.texts == ["", "step 1", "step 2", "step 3"]
    assert [ticket.rev for ticket in ask.news] == [1, 2, 3, 4]
    assert [ticket.state for ticket in ask.news] == ["waiting"] + ["working"] * 3
    assert [ticket.fraction for ticket in ask.news] == [None, 1 / 3, 2 / 3, 1]
    assert ask.pauses == []


def test_what_happened_before_the_ticket_was_read_is_told_too(server, ask):
    def go_on(ticket):
        if ticket.rev == 1:
            for number in range(5):
                server.wait.progress(number)
            server.wait.wake("done")

    assert ask(f"{server.url}/slow", on_progress=go_on) == "done"
    assert [ticket.at for ticket in ask.news] == [None, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("value", [None, 0, "", [], "text", {"a": [1]}, "x" * 20_000])
def test_values_come_as_json_has_them_small_and_large(server, ask, value):
    woken = ask(f"{server.url}/slow", on_progress=lambda ticket: server.wait.wake(value))

    assert woken == value


def test_a_value_that_is_no_json_comes_as_bytes(server, ask):
    assert ask(f"{server.url}/picture", on_progress=lambda _: server.wait.wake("pixels")) == (
        b"pixels"
    )


def test_the_address_of_a_ticket_goes_on_with_it(server, ask):
    with pytest.raises(RuntimeError, match="enough"):
        ask(f"{server.url}/slow", on_progress=raising(RuntimeError("enough")))
    [left] = ask.news

    assert ask(left.url, on_progress=lambda _: server.wait.wake("x" * 20_000)) == "x" * 20_000
    assert ask(f"{left.url}?from=mail#top") == "x" * 20_000
    assert len(server.waits) == 1


def test_nothing_can_be_sent_to_a_ticket(server, ask):
    with pytest.raises(ValueError, match="ticket"):
        ask(f"{server.url}{TICKET}", {"a": 1})


@pytest.mark.parametrize(
    ("end", "state", "status", "detail"),
    [
        (lambda wait: wait.fail("no money", 402), "failed", 402, "no money"),
        (lambda wait: wait.cancel(), "cancelled", 410, "cancelled"),
    ],
)
def test_a_ticket_that_ends_otherwise_is_an_error(server, ask, end, state, status, detail):
    with pytest.raises(RequestFailed, match=detail) as caught:
        ask(f"{server.url}/slow", on_progress=lambda _: end(server.wait))

    assert (caught.value.state, caught.value.status) == (state, status)
    assert caught.value.problem["state"] == state
    with pytest.raises(RequestFailed, match=detail) as again:
        ask(caught.value.ticket)
    assert (again.value.state, again.value.status) == (state, status)


def test_a_ticket_that_expires_is_an_error(server, ask):
    with pytest.raises(RequestFailed, match="expired") as caught:
        ask(f"{server.url}/slow?timeout=0.3")

    assert (caught.value.state, caught.value.status) == ("expired", 504)


def test_a_ticket_that_nobody_knows_is_gone(server, ask):
    with pytest.raises(RequestFailed, match="gone") as caught:
        ask(f"{server.url}{TICKET}")

    assert (caught.value.state, caught.value.status) == ("gone", 404)
    assert caught.value.ticket == f"{server.url}{TICKET}"


def test_credentials_go_along_to_the_ticket_and_what_is_of_the_request_does_not(ask):
    steps = [ticket(), events(("done", document(2, "done"))), json_answer(200, b"1")]
    headers = {"authorization": "Bearer x", "cookie": "a=b", "if-match": '"1"', "accept": "a/b"}
    with Scripted(*steps) as scripted:
        assert ask(scripted.url, {}, headers=headers) == 1

    _, stream, result = scripted.requests
    assert [result.target, stream.target] == [f"{TICKET}/result", TICKET]
    for each in (stream, result):
        assert (each.headers["authorization"], each.headers["cookie"]) == ("Bearer x", "a=b")
        assert not {"if-match", "idempotency-key", "content-type", "prefer"} & set(each.headers)
    assert stream.headers["accept"] == "text/event-stream"


def test_a_ticket_of_another_origin_is_not_asked(ask):
    with Scripted(json_answer(200, b"1")) as other:
        moved = json_answer(202, b'"taken"', location=f"{other.url}{TICKET}")
        with Scripted(moved) as scripted:
            assert ask(scripted.url, {}, headers={"authorization": "Bearer x"}) == "taken"
        assert other.requests == []


def test_a_ticket_shows_no_secret_when_it_is_printed(server, ask):
    ask(f"{server.url}/slow", on_progress=lambda _: server.wait.wake(1))

    assert "tk_" not in repr(ask.news[0])
    assert "/t/tk_" in ask.news[0].url


# ---- what breaks -----------------------------------------------------------------------------


def test_a_request_whose_connection_broke_is_sent_again_with_the_same_key(ask):
    with Scripted(RESET, b"", b"HTTP/1.1 200 O", json_answer(200, b"[1]")) as scripted:
        assert ask(scripted.url, {"a": 1}) == [1]

    assert len(ask.pauses) == 3
    assert len({each.headers["idempotency-key"] for each in scripted.requests}) == 1
    assert len({each.body for each in scripted.requests}) == 1


def test_without_repeat_a_request_that_may_have_arrived_is_not_sent_again(ask):
    with Scripted(b"", json_answer(200, b"1")) as scripted:
        with pytest.raises(RequestFailed, match="cannot be reached") as caught:
            ask(scripted.url, {"a": 1}, repeat=False)
        assert len(scripted.requests) == 1
        assert (caught.value.state, caught.value.status) == ("unreachable", 0)


def test_without_repeat_what_is_safe_to_send_again_is_sent_again(ask):
    with Scripted(b"", json_answer(200, b"1")) as scripted:
        assert ask(scripted.url, repeat=False) == 1
    with Scripted(json_answer(503, b"{}", retry_after=2), json_answer(200, b"1")) as scripted:
        assert ask(scripted.url, {"a": 1}, repeat=False) == 1


def test_a_repeated_request_joins_the_wait_of_the_first(server, ask):
    """The answer with the ticket is lost: as if the connection had broken just then."""
    headers = {"idempotency-key": "one"}
    with pytest.raises(RuntimeError):
        ask(f"{server.url}/slow", {}, headers=headers, on_progress=raising(RuntimeError()))

    [first] = server.waits
    assert ask(f"{server.url}/slow", {}, headers=headers, on_progress=lambda _: first.wake(3)) == 3


def test_a_server_that_refuses_a_body_while_it_is_sent_is_heard(server, ask):
    with pytest.raises(RequestFailed) as caught:
        ask(f"{server.url}/small", "x" * 3_000_000)

    assert caught.value.status == 413
    assert ask.pauses == []


def test_a_server_that_restarts_is_asked_until_it_is_there(server, ask):
    ask.on_pause = lambda: len(ask.pauses) == 3 and server.start()
    url = f"{server.url}/slow"
    server.stop()

    assert ask(url, {}, on_progress=lambda _: server.wait.wake(1)) == 1
    assert len(ask.pauses) == 3


def test_a_ticket_outlives_a_restart(server, ask):
    def go_on(ticket):
        if ticket.rev == 1:
            server.stop()
        else:
            wake()

    def wake():
        with Desk(server.store) as desk:
            desk.wake(server.wait.token, "there")

    def come_back():
        if len(ask.pauses) == 2:
            server.start()
            with Desk(server.store) as desk:
                desk.progress(server.wait.token, 1)

    ask.on_pause = come_back

    assert ask(f"{server.url}/slow", {}, on_progress=go_on) == "there"
    assert len(ask.news) == 2


SERVER = """
    import sys
    from tarry import App

    app = App(store=sys.argv[1])

    @app.post("/slow", inline=True)
    def slow():
        return app.park(int, key="k", durable=True, timeout="1h")

    with app.start(port=int(sys.argv[2]), access_log=False) as server:
        print(server.url, flush=True)
        sys.stdin.read()
"""


def test_no_answer_is_lost_when_the_server_is_killed(tmp_path, ask):
    address = f"sqlite:{tmp_path / 'state.db'}"
    processes = []

    def start(port=0):
        command = [sys.executable, "-c", textwrap.dedent(SERVER), address, str(port)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process.stdout.readline().strip()

    def kill():
        processes[-1].kill()
        processes[-1].wait()

    def go_on(ticket):
        if ticket.rev == 1:
            kill()
        if ticket.rev == 3:
            with Desk(address) as desk:
                desk.wake("k", 42)

    def come_back():
        if len(ask.pauses) == 3:
            start(url.rpartition(":")[2])
            with Desk(address) as desk:
                desk.progress("k", 1)
                desk.progress("k", 2)

    ask.on_pause = come_back
    url = start()
    try:
        assert ask(f"{url}/slow", {}, on_progress=go_on) == 42
    finally:
        kill()
        for each in processes:
            each.stdin.close()
            each.stdout.close()

    assert [ticket.at for ticket in ask.news] == [None, 2]
    assert len(processes) == 2


# ---- giving up -------------------------------------------------------------------------------


def raising(error):
    def fail(ticket):
        raise error

    return fail


def state_of(server):
    with Desk(server.store) as desk:
        return desk.find(server.wait.ticket).state


def test_an_interrupt_cancels_the_ticket_and_comes_out(server, ask):
    with pytest.raises(KeyboardInterrupt):
        ask(f"{server.url}/slow", on_progress=raising(KeyboardInterrupt()))

    assert state_of(server) == "cancelled"


def test_an_interrupt_can_leave_the_ticket_open(server, ask):
    with pytest.raises(KeyboardInterrupt):
        ask(
            f"{server.url}/slow",
            on_progress=raising(KeyboardInterrupt()),
            cancel_on_interrupt=False,
        )

    assert state_of(server) == "waiting"


def test_an_interrupt_comes_out_when_there_is_nothing_to_cancel(ask):
    with Scripted(b"") as scripted:
        ask.on_pause = interrupt
        with pytest.raises(KeyboardInterrupt):
            ask(scripted.url)


def test_an_interrupt_comes_out_when_the_server_is_away(server, ask, caplog):
    def leave(ticket):
        server.stop()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(f"{server.url}/slow", on_progress=leave)

    assert "was not cancelled" in caplog.text
    assert "tk_" not in caplog.text
    server.start()


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(("cancels", "state"), [(False, "waiting"), (True, "cancelled")])
def test_a_time_out_cancels_if_that_is_asked_for(server, ask, cancels, state):
    def pass_time(ticket):
        ask.clock.advance(60)

    with pytest.raises(RequestTimeout) as caught:
        ask(f"{server.url}/slow", timeout="1m", on_progress=pass_time, cancel_on_timeout=cancels)

    assert isinstance(caught.value, TimeoutError)
    assert caught.value.state == "timeout"
    assert caught.value.ticket == ask.news[0].url
    assert state_of(server) == state


def test_a_time_out_counts_while_the_server_says_nothing(ask):
    """By the clock of the machine, as it is the socket that waits."""
    for steps in (HOLD, (answer(200, b"abc", length=9), HOLD)):
        with Scripted(steps) as scripted, pytest.raises(RequestTimeout):
            request(scripted.url, timeout=0.05)


def test_a_time_out_counts_while_the_server_is_away(ask):
    with Scripted() as scripted, pytest.raises(RequestTimeout):
        ask(scripted.url, timeout=3)
    assert sum(ask.pauses) == pytest.approx(3)


# ---- what it needs ---------------------------------------------------------------------------


def test_it_needs_the_standard_library_only():
    code = """
        import sys, types
        tarry = types.ModuleType("tarry")
        tarry.__path__ = [sys.argv[1]]
        sys.modules["tarry"] = tarry
        from tarry.client import request
        print(sorted(name for name in sys.modules if name.startswith("tarry.")))
    """
    folder = Path(tarry.__file__).parent
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", textwrap.dedent(code), folder],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "tarry.client.asking" in run.stdout
    assert "desk" not in run.stdout


def test_the_names_of_the_package_are_there_and_no_others():
    import tarry.client

    for name in tarry.client.__all__:
        assert getattr(tarry.client, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_else"):
        _ = tarry.client.nothing_else
