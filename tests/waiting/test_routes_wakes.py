"""The addresses of wake tokens: values from programs, and the page for people."""

from __future__ import annotations

import asyncio
import json

import pytest

from tarry.testing import AsyncClient
from tests.app.test_pages import Elements
from tests.waiting.tickets_app import BROWSER, Desk, path_of

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def desk():
    return Desk()


def run(coroutine):
    return asyncio.run(coroutine)


def asked(desk, kind, *requests, headers=()):
    """What each POST to the URL of a wait is answered with, and the wait's outcome in the end."""

    async def go():
        async with AsyncClient(desk.app) as client:
            await desk.parked(client, kind)
            url = path_of(desk.wait.url)
            replies = [await client.post(url, **request) for request in requests]
            return replies, (await client.get(path_of(desk.wait.ticket_url) + "/result"))

    return run(go())


# ---- programs --------------------------------------------------------------------------------


def test_the_first_answer_counts(desk):
    (first, second), result = asked(desk, "int", {"json": 7}, {"json": 8})

    assert (first.status, first.json()) == (200, {"accepted": True, "state": "done"})
    assert (second.status, second.json()) == (409, {"accepted": False, "state": "done"})
    assert first.headers["cache-control"] == "no-store"
    assert result.json() == 7


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("decision", b'{"ok":true,"reason":"a=b"}',
         {"ok": True, "reason": "a=b", "amount": None, "size": "small"}),
        ("int", b"5", 5),
        ("str", b'"a&b=c%20"', "a&b=c%20"),
        ("list", b"[1, 2]", [1, 2]),
        ("bool", b"true", True),
    ],
)  # fmt: skip
def test_json_as_curl_sends_it(desk, kind, text, value):
    (reply,), result = asked(desk, kind, {"data": text, "headers": FORM})

    assert reply.json()["accepted"]
    assert result.json() == value


@pytest.mark.parametrize("kind", ["none", "any"])
def test_nothing_is_an_answer_where_nothing_is_asked_for(desk, kind):
    (reply,), result = asked(desk, kind, {})

    assert reply.status == 200
    assert result.json() is None


@pytest.mark.parametrize(
    ("kind", "request_", "status", "told"),
    [
        ("int", {"json": "seven"}, 422, "int is waited for"),
        ("int", {}, 422, "int is waited for"),
        ("decision", {"json": {"reason": "x"}}, 422, "ok"),
        ("int", {"data": b"{", "headers": JSON}, 400, "malformed"),
        ("int", {"data": b"NaN", "headers": JSON}, 400, "malformed"),
        ("any", {"data": b"[" * 500, "headers": JSON}, 400, "deep"),
        ("int", {"data": "7"}, 415, "application/json"),
        ("int", {"data": b"7"}, 415, "application/json"),
        ("int", {"data": {"value": "seven"}}, 422, "integer"),
        ("int", {"data": {"other": "7"}}, 422, "missing"),
        ("int", {"data": {"value": "7", "action": "dance"}}, 400, "action"),
        ("list", {"data": {"value": "[1, x]"}}, 400, "malformed"),
        ("list", {"data": {"value": '["x"]'}}, 422, "waited for"),
        ("decision", {"data": {"ok": "perhaps"}}, 422, "ok"),
        ("color", {"data": {"value": "green"}}, 422, "red"),
        ("int", {"data": b"x" * 2**20 + b"x", "headers": FORM}, 413, "larger"),
        ("int", {"data": b"a=%FF", "headers": FORM}, 400, ""),
        ("int", {"data": b"7", "headers": {"content-type": "multipart/form-data"}}, 400, "bound"),
        ("int", {"data": b"7", "headers": JSON | {"content-encoding": "zip"}}, 415, "zip"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_told_and_the_wait_goes_on(desk, kind, request_, status, told):
    (bad,), result = asked(desk, kind, request_)

    assert bad.status == status
    assert told in bad.json()["detail"]
    assert result.json()["state"] == "waiting"


@pytest.mark.parametrize("token", ["x", "wk_" + "a" * 34, "tk_" + "a" * 34])
def test_what_is_no_token_is_a_404(desk, token):
    async def go():
        async with AsyncClient(desk.app) as client:
            for reply in [
                await client.get(f"/-/w/{token}"),
                await client.post(f"/-/w/{token}", json=1),
                await client.post(f"/-/w/{token}", data="text"),
            ]:
                assert reply.status == 404

    run(go())


def test_a_ticket_does_not_wake(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            ticket = (await desk.parked(client))["ticket"]
            assert (await client.post(f"/-/w/{ticket}", json="x")).status == 404
            assert (await client.get(f"/-/t/{ticket}")).json()["state"] == "waiting"

    run(go())


def test_an_answer_that_comes_too_late(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            await desk.parked(client)
            url = path_of(desk.wait.url)
            desk.clock.advance(8 * 3600 + 1)
            reply = await client.post(url, json="x")
            assert (reply.status, reply.json()) == (409, {"accepted": False, "state": "expired"})
            assert b"is over" in (await client.get(url)).body

    run(go())


# ---- people ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_at_the_page_wakes_nobody(desk, method):
    async def go():
        async with AsyncClient(desk.app) as client:
            await desk.parked(client)
            reply = await getattr(client, method)(path_of(desk.wait.url) + "?value=x&action=fail")
            assert reply.status == 200
            assert reply.headers["content-type"] == "text/html; charset=utf-8"
            assert "form-action 'self'" in reply.headers["content-security-policy"]
            assert reply.headers["referrer-policy"] == "no-referrer"
            assert reply.headers["cache-control"] == "no-store"
            assert desk.wait.state == "waiting"

    run(go())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("str", ['<input type="text" name="value" required>']),
        ("int", ['<input type="number" step="1" name="value" required>']),
        ("float", ['<input type="number" step="any" name="value" required>']),
        ("bool", ['<button name="value" value="true">Yes',
                  '<button name="value" value="false">No']),
        ("color", ["<option>red</option><option>blue</option>"]),
        ("list", ['<textarea name="value"', "required"]),
        ("any", ['<textarea name="value"']),
        ("nested", ['<textarea name="value"', "required"]),
        ("none", ["<button>Confirm</button>"]),
        ("decision", ['<input type="checkbox" name="ok" value="true">',
                      '<input type="text" name="reason">',
                      '<input type="number" step="any" name="amount">',
                      '<select name="size"><option></option><option>small</option>']),
    ],
)  # fmt: skip
def test_the_page_asks_for_what_the_wait_takes(desk, kind, expected):
    async def go():
        async with AsyncClient(desk.app) as client:
            await desk.parked(client, kind)
            return (await client.get(path_of(desk.wait.url))).text

    page = run(go())
    for text in expected:
        assert text in page
    assert f'action="{path_of(desk.wait.url)}"' in page
    assert Elements(page.encode()).open == []


@pytest.mark.parametrize(
    ("kind", "form", "value"),
    [
        ("str", {"value": "7"}, "7"),
        ("str", {"value": ""}, ""),
        ("int", {"value": "7"}, 7),
        ("float", {"value": "7"}, 7),
        ("bool", {"value": "false"}, False),
        ("color", {"value": "blue"}, "blue"),
        ("list", {"value": " [1, 2]\r\n"}, [1, 2]),
        ("any", {"value": '{"a": [null]}'}, {"a": [None]}),
        ("any", {"value": ""}, None),
        ("none", {}, None),
        ("none", {"action": "wake"}, None),
        ("decision", {"ok": ["true", "false"], "reason": "ok", "amount": "", "size": "large"},
         {"ok": True, "reason": "ok", "amount": None, "size": "large"}),
        ("decision", {"ok": "false", "reason": "", "amount": "", "size": ""},
         {"ok": False, "reason": "", "amount": None, "size": "small"}),
        ("decision", {"ok": "false", "amount": "1.5"},
         {"ok": False, "reason": "", "amount": "1.5", "size": "small"}),
    ],
)  # fmt: skip
def test_the_form_wakes(desk, kind, form, value):
    (thanks, late), result = asked(
        desk, kind, {"data": form, "headers": BROWSER}, {"data": form, "headers": BROWSER}
    )

    assert thanks.status == 200
    assert b"Thank you" in thanks.body
    assert late.status == 409
    assert b"answered already" in late.body
    assert result.json() == value


def test_what_is_wrong_with_the_form_is_shown_on_it(desk):
    (reply,), _ = asked(desk, "int", {"data": {"value": "<b>"}, "headers": BROWSER})

    assert reply.status == 422
    assert b"is not an integer" in reply.body
    assert b'name="value"' in reply.body


@pytest.mark.parametrize(
    ("form", "status", "detail"),
    [
        ({"action": "fail"}, 403, "declined"),
        ({"action": "fail", "value": "7", "detail": "not today"}, 403, "not today"),
        ({"action": "cancel"}, 410, "cancelled"),
    ],
)
def test_declining(desk, form, status, detail):
    (reply,), result = asked(desk, "int", {"data": form})

    assert reply.json()["accepted"]
    assert result.status == status
    assert detail in result.json()["detail"]


def test_a_token_does_not_tell_the_ticket(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            ticket = (await desk.parked(client))["ticket"]
            page = await client.get(path_of(desk.wait.url))
            reply = await client.post(path_of(desk.wait.url), json="x")
            assert ticket not in page.text + json.dumps(reply.json())

    run(go())
