"""The worker protocol of quick_server, message by message."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry import App, RegistrationError, Request
from tarry.state.memory import MemoryStore
from tarry.state.store import Put
from tarry.testing import JumpingClock, SocketClient
from tarry.waiting import records
from tests.jobs import quick_jobs
from tests.jobs.quick_jobs import (
    GATE,
    WAIT_S,
    Tenant,
    finished,
    post,
    started,
    started_while_time_stands,
)

ROOT = Path(__file__).parents[2]

GONE = {"done": False, "result": None, "continue": False}


@pytest.fixture(autouse=True)
def gate():
    GATE.close()
    yield
    GATE.open()


def app_with(*functions, store="memory", **options):
    """An application with a job for each function, at its name."""
    app = App(store=store)
    for function in functions:
        app.job(f"/{function.__name__}", quick_worker=True, **options)(function)
    return app


def client_of(*functions, **options):
    """A client for which no time passes: a job that ends is always fast enough for `start`."""
    return app_with(*functions, **options).testing(clock=JumpingClock())


def start(client, path, **payload):
    return post(client, path, action="start", payload=payload)


# ── start ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (quick_jobs.nothing, "null"),
        (quick_jobs.text, '"a \\"text\\" – 1"'),
        (quick_jobs.page, '"<p>hello"'),
        (quick_jobs.number, "[1]"),
    ],
)
def test_a_fast_job_is_answered_at_once_with_a_text_to_be_parsed(function, result):
    with client_of(function) as client:
        reply = start(client, f"/{function.__name__}")

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    told = reply.json()
    assert (list(told), told["result"]) == (["token", "done", "result", "continue"], result)
    assert (told["done"], told["continue"]) == (True, False)
    json.loads(told["result"])


@pytest.mark.parametrize("http2", [False, True])
def test_a_slow_job_is_asked_for_until_it_is_done_and_again_later(http2):
    app = app_with(quick_jobs.held)
    with app.testing(http2=http2) as client:
        token = started(client, "/held", name="one")
        running = post(client, "/held", action="get", token=token).json()
        GATE.open()
        done = finished(client, "/held", token)
        again = post(client, "/held", action="get", token=token).json()

    assert running == {"token": token, "done": False, "result": None, "continue": True}
    assert done == {"token": token, "done": True, "result": '{"name":"one"}', "continue": False}
    assert again == done


def test_as_many_may_wait_as_may_and_start_does_not_count_on_more():
    app = App(store="memory", max_parked=0)
    app.job("/add", quick_worker=True)(quick_jobs.add)
    with app.testing() as client:
        told = start(client, "/add", a=1).json()
        if not told["done"]:
            told = finished(client, "/add", told["token"])

    assert told["result"] == "2"


def test_a_full_queue_is_a_503_that_says_when_to_come_again():
    app = App(store="memory", max_queued_jobs=1)
    app.job("/held", quick_worker=True, limit=1)(quick_jobs.held)
    with app.testing() as client:
        started(client, "/held", name="runs")
        started(client, "/held", name="waits")
        refused = start(client, "/held", name="too many")
        GATE.open()

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1


def test_a_client_that_leaves_before_it_has_a_token_may_end_its_job():
    app = app_with(quick_jobs.held, abandon="cancel")
    with app.testing() as client:
        message = {"action": "start", "payload": {"name": "left"}}
        pending = client.begin("POST", "/held", json=message)
        GATE.begun.get(timeout=WAIT_S)
        pending.disconnect()

        assert GATE.cancelled.get(timeout=WAIT_S) == "left"


def test_a_message_with_the_same_idempotency_key_gets_the_same_job():
    with client_of(quick_jobs.add) as client:
        message = {"action": "start", "payload": {"a": 1}}
        key = {"idempotency-key": "one"}
        first, again = (client.post("/add", json=message, headers=key).json() for _ in range(2))

    assert first["token"] != again["token"]
    assert {**again, "token": first["token"]} == first


# ── tokens ────────────────────────────────────────────────────────────────────────────────


def test_tokens_are_numbers_of_javascript_that_nobody_guesses():
    with client_of(quick_jobs.nothing) as client:
        tokens = [start(client, "/nothing").json()["token"] for _ in range(50)]

    assert len(set(tokens)) == 50
    assert all(0 < int(token) < 2**53 and str(int(float(token))) == token for token in tokens)
    # Evenly spread: of 50, all are below one 32nd of the range once in 2^250 times.
    assert max(map(int, tokens)) > 2**48


def test_a_token_comes_back_as_the_client_wrote_it():
    with client_of(quick_jobs.nothing) as client:
        token = start(client, "/nothing").json()["token"]
        as_text = post(client, "/nothing", action="get", token=token).json()
        as_number = post(client, "/nothing", action="get", token=int(token)).json()

    assert (as_text["token"], as_text["result"]) == (token, "null")
    assert (as_number["token"], as_number["result"]) == (int(token), "null")


@pytest.mark.parametrize("token", [0, 1, 2**53, "0", "1", "-1", "", " 1", "01", "x", "٣", "9" * 99])
def test_a_token_that_nobody_has_means_that_there_is_nothing(token):
    with client_of(quick_jobs.nothing) as client:
        got = post(client, "/nothing", action="get", token=token)
        stopped = post(client, "/nothing", action="stop", token=token)

    if token == "":
        assert (got.status, stopped.status) == (400, 400)
        return
    assert got.json() == {"token": token, **GONE}
    assert stopped.json() == {"token": token, "done": True, "result": None, "continue": False}


@pytest.mark.parametrize("token", [-1, 2**53 + 1, 10**400, 1.5, True, None, [], {}])
def test_what_is_no_token_is_a_400_that_names_it(token):
    with client_of(quick_jobs.nothing) as client:
        for action in ("get", "stop", "cargo"):
            reply = post(client, "/nothing", action=action, token=token)
            assert reply.status == 400
            assert [each["name"] for each in reply.json()["errors"]] == ["token"]


def test_a_message_without_a_token_is_a_400_that_says_so():
    with client_of(quick_jobs.nothing) as client:
        for action in ("get", "stop", "cargo"):
            errors = post(client, "/nothing", action=action).json()["errors"]
            assert errors == [{"name": "token", "in": "body", "reason": "is missing"}]


def test_a_token_is_good_for_its_own_job_alone():
    with client_of(quick_jobs.nothing, quick_jobs.text) as client:
        token = start(client, "/text").json()["token"]
        assert post(client, "/nothing", action="get", token=token).json() == {
            "token": token,
            **GONE,
        }
        post(client, "/nothing", action="stop", token=token)
        assert post(client, "/text", action="get", token=token).json()["done"]


def test_tokens_go_when_their_jobs_do_and_leave_nothing_behind():
    store = MemoryStore()
    app = app_with(quick_jobs.add, quick_jobs.held, store=store, keep="10m")
    with app.testing(clock=JumpingClock()) as client:
        fast = start(client, "/add", a=1).json()["token"]
        slow = started_while_time_stands(client, "/held")
        GATE.open()
        finished(client, "/held", slow)
        assert len(store.scan("n/").result()) == 2
        client.advance("9m")
        assert post(client, "/add", action="get", token=fast).json()["result"] == "2"
        client.advance("2m")
        for path, token in (("/add", fast), ("/held", slow)):
            told = post(client, path, action="get", token=token).json()
            assert told == {"token": token, **GONE}
        client.advance("1m")

        assert store.scan("n/").result() == []


# ── stop ──────────────────────────────────────────────────────────────────────────────────


def test_stop_ends_a_job_that_runs_and_its_token_is_forgotten():
    app = app_with(quick_jobs.held)
    with app.testing(clock=JumpingClock()) as client:
        token = started_while_time_stands(client, "/held", name="one")
        stopped = [post(client, "/held", action="stop", token=token).json() for _ in range(2)]
        assert GATE.cancelled.get(timeout=WAIT_S) == "one"
        told = post(client, "/held", action="get", token=token).json()

    assert stopped == [{"token": token, "done": True, "result": None, "continue": False}] * 2
    assert told == {"token": token, **GONE}


def test_stop_keeps_a_job_that_waits_for_its_turn_from_running():
    app = app_with(quick_jobs.held, limit=1)
    with app.testing() as client:
        first = started(client, "/held", name="first")
        second = started(client, "/held", name="second")
        third = started(client, "/held", name="third")
        post(client, "/held", action="stop", token=second)
        GATE.open()
        finished(client, "/held", first)
        finished(client, "/held", third)

    assert [GATE.begun.get(timeout=WAIT_S) for _ in range(2)] == ["first", "third"]
    assert GATE.begun.empty()


def test_stop_ends_a_job_only_when_the_last_who_waits_for_it_says_so():
    store = MemoryStore()
    app = app_with(quick_jobs.held, store=store, slot="one", replace="join")
    with app.testing() as client:
        tokens = [started(client, "/held") for _ in range(2)]
        ((key, entry),) = store.scan("w/").result()
        record = records.decode_record(entry.value)
        joined = msgspec.structs.replace(record, waits=2)
        store.update([key], lambda _: [Put(records.encode(joined), entry.due_s)]).result()

        for _ in range(2):
            post(client, "/held", action="stop", token=tokens[0])
        told = [post(client, "/held", action="get", token=each).json() for each in tokens]
        assert [each["continue"] for each in told] == [False, True]
        ((_, entry),) = store.scan("w/").result()
        assert not records.decode_record(entry.value).is_cancelling
        post(client, "/held", action="stop", token=tokens[1])
        GATE.cancelled.get(timeout=WAIT_S)


def test_a_job_that_was_replaced_is_no_longer_there():
    app = app_with(quick_jobs.held, slot="one")
    with app.testing() as client:
        first = started(client, "/held", name="old")
        second = started(client, "/held", name="new")
        assert GATE.cancelled.get(timeout=WAIT_S) == "old"
        while (told := post(client, "/held", action="get", token=first).json())["continue"]:
            pass
        assert told == {"token": first, **GONE}
        GATE.open()
        assert finished(client, "/held", second)["result"] == '{"name":"new"}'


# ── failures ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("function", "status", "detail"),
    [
        (quick_jobs.broken, 500, "the job failed; the log of the server says why"),
        (quick_jobs.refused, 409, "there is one already"),
    ],
)
def test_a_failure_has_its_status_and_a_problem(function, status, detail):
    with client_of(function) as client:
        reply = start(client, f"/{function.__name__}")

    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.json()["status"], reply.json()["detail"]) == (status, detail)
    assert "nobody shall see this" not in reply.text


def test_a_failure_is_told_to_who_asks_later_and_each_time():
    app = app_with(quick_jobs.refused_late)
    with app.testing() as client:
        token = started(client, "/refused_late")
        GATE.open()
        while (reply := post(client, "/refused_late", action="get", token=token)).status == 200:
            assert reply.json()["continue"]
        again = post(client, "/refused_late", action="get", token=token)

    for each in (reply, again):
        assert (each.status, each.json()["detail"]) == (418, "a teapot")


def test_an_error_that_a_job_returns_is_answered_as_it_is():
    with client_of(quick_jobs.absent) as client:
        reply = start(client, "/absent")

    assert (reply.status, reply.text) == (404, "nothing of the kind")


@pytest.mark.parametrize("function", [quick_jobs.data, quick_jobs.file])
def test_a_result_without_a_json_form_says_where_it_can_be_fetched(function):
    with client_of(function) as client:
        reply = start(client, f"/{function.__name__}")
        there = client.get(reply.json()["links"]["result"])

    assert reply.status == 500
    assert "links.result" in reply.json()["detail"]
    assert there.body in (b"\x00", b"in a file")


# ── pieces ────────────────────────────────────────────────────────────────────────────────


def joined(client, path, told):
    """A whole result, fetched as the protocol says."""
    if not told["continue"]:
        return told["result"]
    pieces = [post(client, path, action="cargo", token=key).json() for key in told["result"]]
    assert [each["token"] for each in pieces] == told["result"]
    assert all(each["done"] and not each["continue"] for each in pieces)
    return "".join(each["result"] for each in pieces)


def test_a_result_at_the_limit_is_one_reply_and_one_beyond_is_two_pieces():
    with client_of(quick_jobs.echo, max_chunk_characters=10) as client:
        at_limit = start(client, "/echo", value="12345678").json()
        beyond = start(client, "/echo", value="123456789").json()

        assert (at_limit["continue"], at_limit["result"]) == (False, '"12345678"')
        assert (beyond["done"], beyond["continue"], len(beyond["result"])) == (True, True, 2)
        assert joined(client, "/echo", beyond) == '"123456789"'
        assert joined(client, "/echo", beyond) == '"123456789"'


def test_a_result_may_have_very_many_pieces():
    with client_of(quick_jobs.echo, max_chunk_characters=1) as client:
        told = start(client, "/echo", value="x" * 998).json()

        assert len(told["result"]) == len(set(told["result"])) == 1000
        assert joined(client, "/echo", told) == json.dumps("x" * 998)


def test_any_text_comes_through_in_pieces_of_any_length():
    app = App(store="memory")
    for size in (1, 2, 7):
        app.job(f"/{size}", quick_worker=True, max_chunk_characters=size)(quick_jobs.echo)
    with app.testing(clock=JumpingClock()) as client:

        @settings(max_examples=20, deadline=None)
        @given(value=st.text(max_size=12), size=st.sampled_from([1, 2, 7]))
        def check(value, size):
            told = start(client, f"/{size}", value=value).json()
            assert json.loads(joined(client, f"/{size}", told)) == value

        check()


def test_a_piece_that_is_not_there_is_a_404():
    app = app_with(quick_jobs.echo, quick_jobs.held, max_chunk_characters=5)
    with app.testing(clock=JumpingClock()) as client:
        told = start(client, "/echo", value="abcdefgh").json()
        token = told["token"]
        unfinished = started_while_time_stands(client, "/held")
        for key in (
            token, int(token), f"{token}-", f"{token}-10-15", f"{token}-5-5", f"{token}-a-b",
            f"{token}-0-5-5", f"{token}--1-5", "1-0-5", "x", f"{token}-{'9' * 40}-1",
        ):  # fmt: skip
            assert post(client, "/echo", action="cargo", token=key).status == 404
        assert post(client, "/held", action="cargo", token=f"{unfinished}-0-5").status == 404
        assert post(client, "/held", action="cargo", token=told["result"][0]).status == 404
        post(client, "/echo", action="stop", token=token)
        assert post(client, "/echo", action="cargo", token=told["result"][0]).status == 404


# ── arguments ─────────────────────────────────────────────────────────────────────────────


def test_arguments_are_the_members_of_the_payload_by_name():
    several = {"a": 1, "point": {"x": 2}, "options": {"k": [None]}, "untyped": 1.5, "more": 0}
    with client_of(quick_jobs.add, quick_jobs.scaled, quick_jobs.several) as client:
        assert start(client, "/add", a=4).json()["result"] == "5"
        assert start(client, "/add", a=4, b=5, c=6).json()["result"] == "9"
        told = start(client, "/scaled", point={"x": 2}, factor=5).json()
        assert told["result"] == "10"
        told = start(client, "/several", **several).json()
        assert json.loads(told["result"]) == [1, 2, {"k": [None]}, None, 1.5]


@pytest.mark.parametrize(
    ("function", "payload", "result"),
    [
        (quick_jobs.point, {"x": 1}, [1, 0]),
        (quick_jobs.members, {"args": 1, "b": 2}, ["args", "b"]),
        (quick_jobs.body, [1, 2, 3], 6),
        (quick_jobs.raw, {"a": 1}, '{"a":1}'),
    ],
)
def test_one_record_dict_or_body_is_the_payload_as_a_whole(function, payload, result):
    path = f"/{function.__name__}"
    with client_of(function) as client:
        told = post(client, path, action="start", payload=payload).json()

    assert json.loads(told["result"]) == result


def test_without_a_payload_all_have_their_defaults():
    with client_of(quick_jobs.members, quick_jobs.nothing) as client:
        assert post(client, "/members", action="start").json()["result"] == "[]"
        assert post(client, "/nothing", action="start").json()["result"] == "null"


def test_path_parameters_win_over_members_of_the_same_name():
    app = App(store="memory")
    paths = ("/at/{number:int}", "/at/{number:int}/{kind}")
    app.job(*paths, quick_worker=True)(quick_jobs.at)
    app.job("/of/{number}", quick_worker=True)(quick_jobs.of)
    with app.testing(clock=JumpingClock()) as client:
        one = start(client, "/at/1", number=2, kind="member").json()
        two = start(client, "/at/1/path", number=2, kind="member").json()
        three = start(client, "/of/1", number=2, x=3).json()

    assert [json.loads(each["result"]) for each in (one, two, three)] == [
        [1, "member"],
        [1, "path"],
        [1, 3],
    ]


def test_the_rest_of_the_request_gives_what_it_always_gives():
    app = App(store="memory")

    @app.binder(Tenant)
    def tenant(request: Request) -> Tenant:
        return Tenant(request.headers["x-who"])

    app.job("/known", quick_worker=True)(quick_jobs.known)
    app.job("/owned", quick_worker=True)(quick_jobs.owned)
    with app.testing(clock=JumpingClock()) as client:
        for path in ("/known", "/owned"):
            message = {"action": "start", "payload": {"a": 1, "who": "me", "tenant": "me"}}
            told = client.post(path, json=message, headers={"x-who": "you"}).json()
            assert json.loads(told["result"]) == ["you", 1]


def test_a_400_names_all_that_does_not_fit():
    app = App(store="memory")
    app.job("/of/{number}", quick_worker=True)(quick_jobs.of)
    app.job("/several", quick_worker=True)(quick_jobs.several)
    with app.testing(clock=JumpingClock()) as client:
        one = start(client, "/of/x", x="y")
        many = start(client, "/several", a="1", point={"x": "2"}, untyped=None)

    assert (one.status, many.status) == (400, 400)
    assert [(each["name"], each["in"]) for each in one.json()["errors"]] == [
        ("number", "path"),
        ("x", "payload"),
    ]
    assert [each["name"] for each in many.json()["errors"]] == ["a", "point.x", "options"]


@pytest.mark.parametrize("payload", [None, 1, "a", [1], True])
def test_a_payload_that_has_no_members_is_a_400(payload):
    with client_of(quick_jobs.add) as client:
        reply = post(client, "/add", action="start", payload=payload)

    assert reply.status == 400
    assert reply.json()["errors"] == [
        {"name": "payload", "in": "payload", "reason": "is no object"}
    ]


@pytest.mark.parametrize("more", [0, 1])
def test_a_message_is_as_long_as_the_route_takes(more):
    message = json.dumps({"action": "start", "payload": {"a": 1}}).encode()
    with client_of(quick_jobs.add, max_body_bytes=len(message) - more) as client:
        json_type = {"content-type": "application/json"}
        reply = client.post("/add", data=message, headers=json_type)

    assert reply.status == (413 if more else 200)


# ── other requests at the same URL ────────────────────────────────────────────────────────


def test_other_requests_are_for_the_job_as_for_any_other():
    with client_of(quick_jobs.add, quick_jobs.body) as client:
        assert client.post("/add?a=1&b=2").json() == 3
        assert client.post("/add", data={"a": "5"}).json() == 6
        assert post(client, "/body", action="other").status == 400
        assert client.post("/body", json=[1, 2]).json() == 3
        assert client.post("/body", json={"a": 1}).status == 400
        assert client.get("/add?a=1").status == 405


def test_other_requests_can_have_a_ticket():
    with client_of(quick_jobs.held) as client:
        reply = client.post("/held?name=one", headers={"prefer": "respond-async"})
        GATE.open()
        result = client.get(f"{reply.headers['location']}/result", headers={"prefer": "wait=10"})

    assert (reply.status, result.json()) == (202, {"name": "one"})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}",
        b'"start"',
        b'{"action": 1}',
        b'{"action": "START"}',
        b'{"payload": {"action": "start"}}',
        b'{"action": "start", "payload": {"a": 1}',
        b'\xff{"action": "start"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_for_the_route(text):
    with client_of(quick_jobs.body) as client:
        json_type = {"content-type": "application/json"}
        reply = client.post("/body", data=text, headers=json_type)

    assert reply.status == 400
    assert [each["name"] for each in reply.json()["errors"]] == ["value"]


def test_a_message_says_that_it_is_json_so_that_no_foreign_page_can_send_one():
    with client_of(quick_jobs.body, quick_jobs.nothing) as client:
        message = b'{"action": "start", "payload": [1]}'
        plain = {"content-type": "text/plain"}
        assert client.post("/body", data=message, headers=plain).status == 415
        with_suffix = {"content-type": "application/problem+json; charset=utf-8"}
        assert client.post("/body", data=message, headers=with_suffix).json()["result"] == "1"


def test_an_action_wins_over_a_record_that_has_one_too():
    with client_of(quick_jobs.members) as client:
        told = post(client, "/members", action="start", payload={"a": 1}).json()

    assert told["result"] == '["a"]'


# ── registering ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("paths", "options", "reason"),
    [
        ((), {}, "needs a path"),
        (("/",), {"methods": "GET"}, "needs POST"),
        (("/",), {"methods": ["PUT", "DELETE"]}, "needs POST"),
        (("/",), {"max_chunk_characters": 0}, "1 or more"),
    ],
)
def test_what_clients_could_not_use_is_refused_where_it_is_written(paths, options, reason):
    app = App(store="memory")
    with pytest.raises(RegistrationError, match=reason):
        app.job(*paths, quick_worker=True, **options)(quick_jobs.nothing)


def test_a_route_for_any_method_speaks_the_protocol_by_post():
    with client_of(quick_jobs.nothing, methods="*") as client:
        assert start(client, "/nothing").json()["result"] == "null"
        put = client.put("/nothing", json={"action": "start"})
        assert (put.status, put.body) == (204, b"")  # None, as of any handler


def test_a_job_without_the_option_does_not_speak_the_protocol():
    app = App(store="memory")
    app.job("/body")(quick_jobs.body)
    with app.testing() as client:
        assert post(client, "/body", action="start", payload=[1]).status == 400


# ── restarts and several processes ────────────────────────────────────────────────────────


def test_a_token_is_good_after_the_server_has_started_again(tmp_path):
    app = app_with(quick_jobs.echo, store=f"sqlite:{tmp_path / 's.db'}", max_chunk_characters=4)
    with app.testing(clock=JumpingClock()) as client:
        told = start(client, "/echo", value="abcdef").json()
    with app.testing(clock=JumpingClock()) as client:
        again = post(client, "/echo", action="get", token=int(told["token"])).json()

        assert again == {**told, "token": int(told["token"])}
        assert joined(client, "/echo", told) == '"abcdef"'


SERVER = """
    import sys
    from tarry import App
    from tests.jobs import quick_jobs

    app = App(store=sys.argv[1])
    app.job("/held", quick_worker=True)(quick_jobs.held)
    with app.start(access_log=False, stop_timeout_s=0.1) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            quick_jobs.GATE.open()
"""


def test_any_process_with_the_store_answers(tmp_path):
    address = f"sqlite:{tmp_path / 'state.db'}"
    app = app_with(quick_jobs.held, store=address)
    command = [sys.executable, "-c", textwrap.dedent(SERVER), address]
    with (
        app.testing() as here,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            with SocketClient(process.stdout.readline().strip()) as there:
                token = started(here, "/held", name="one")
                other = started(there, "/held", name="two")
                assert post(there, "/held", action="get", token=token).json()["continue"]
                post(here, "/held", action="stop", token=other)
                assert post(there, "/held", action="get", token=other).json() == {
                    "token": other,
                    **GONE,
                }
                GATE.open()
                process.stdin.write("open\n")
                process.stdin.flush()
                assert finished(there, "/held", token)["result"] == '{"name":"one"}'
        finally:
            process.kill()
