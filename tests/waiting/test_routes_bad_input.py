"""Whatever comes to the addresses of waits: a clear answer, and never an error of ours."""

from __future__ import annotations

import asyncio
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.testing import AsyncClient, Client
from tests.waiting.tickets_app import KINDS, STREAM, Desk, path_of

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "prefer", "if-none-match", "last-event-id", "content-type",
                     "idempotency-key", "cookie", "origin", "upgrade"]),
    st.one_of(
        TEXTS.map(str.strip),
        st.sampled_from(["wait=5", "respond-async", "wait", "wait=-1", "wait=1e9", "*", '"1"',
                         "1.1", "text/event-stream", "text/html", "multipart/form-data; boundary=x",
                         "application/x-www-form-urlencoded", "application/json", "websocket"]),
    ),
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=100),
    st.sampled_from([b"1", b"{", b'{"ok":1}', b"value=1&action=fail", b"--x\r\n", b"action=x"]),
)


@pytest.fixture(scope="module")
def open_waits():
    """A client for an application with waits that are open, on which nobody waits for long."""
    desk = Desk()
    with Client(desk.app) as client:
        for kind in KINDS:
            client.post(f"/park/{kind}", headers={"prefer": "respond-async"})
        desk.parking.drain()
        yield client, desk


@given(data=st.data(), headers=HEADERS, body=BODIES)
@settings(max_examples=200, deadline=None)
def test_any_request_has_a_clear_answer(open_waits, data, headers, body):
    client, desk = open_waits
    wait = desk.waits[data.draw(st.integers(0, len(KINDS) - 1))]
    ticket, token = path_of(wait.ticket_url), path_of(wait.url)
    secret = ticket.removeprefix("/-/t/")
    odd = urllib.parse.quote(data.draw(TEXTS), safe="")
    method, path = data.draw(
        st.sampled_from([
            ("GET", ticket), ("HEAD", ticket), ("GET", ticket + "/result"), ("GET", token),
            ("POST", token), ("OPTIONS", ticket), ("PUT", ticket), ("GET", f"/-/events?t={secret}"),
            ("GET", f"/-/events?t={odd}"), ("GET", f"/-/t/{odd}"), ("POST", f"/-/w/{odd}"),
            ("DELETE", f"/-/t/{odd}"), ("POST", f"/-/t/{odd}/cancel"), ("POST", "/park/int"),
        ])
    )  # fmt: skip
    options = {"data": body} if method == "POST" else {}
    reply = client.request(method, path, headers=headers, **options)

    assert reply.status < 500
    if reply.status == 409 and "accepted" in reply.text:
        return  # it has been answered before
    if reply.status >= 400 and method != "HEAD":
        assert reply.headers["content-type"].split(";")[0] in (
            "application/problem+json", "text/html",
        )  # fmt: skip
        assert "<script" not in reply.text


def test_a_store_that_cannot_be_used_is_a_503(caplog):
    desk = Desk()

    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client))["links"]
            token, secret = path_of(desk.wait.url), desk.wait.ticket
            desk.app._waiting.ledger.store.close()
            for method, path, headers in [
                ("GET", links["self"], {}),
                ("GET", links["self"], STREAM),
                ("GET", links["result"], {}),
                ("DELETE", links["self"], {}),
                ("GET", f"/-/events?t={secret}", {}),
                ("GET", token, {}),
                ("POST", token, {}),
                ("POST", "/park/str", {"idempotency-key": "x"}),
            ]:
                reply = await client.request(method, path, headers=headers)
                assert reply.status == 503
                assert reply.headers["retry-after"] == "5"

    asyncio.run(go())
    assert caplog.text.count("the store in memory has been closed") == 8
    assert "Traceback" not in caplog.text
