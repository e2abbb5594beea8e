"""The addresses of tickets: how it stands, the value, cancelling."""

from __future__ import annotations

import asyncio

import pytest

from tarry import App, RegistrationError
from tarry.testing import AsyncClient
from tarry.waiting.limits import ParkingLimits
from tests.waiting.tickets_app import ASYNC, BROWSER, Desk


@pytest.fixture
def desk():
    return Desk()


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_document_tells_how_it_stands(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            ticket = await desk.parked(client)
            reply = await client.get(ticket["links"]["self"])

            assert reply.status == 200
            assert reply.json() == ticket
            assert ticket["state"] == "waiting"
            assert ticket["progress"] is None
            assert ticket["rev"] == 1
            assert ticket["position"] is None
            assert ticket["links"]["result"] == ticket["links"]["self"] + "/result"
            assert reply.headers["etag"] == '"1"'
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["vary"] == "Accept, Prefer"
            assert reply.headers["referrer-policy"] == "no-referrer"

    run(go())


def test_progress_is_told(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            ticket = await desk.parked(client)
            await desk.wait.progress(12, 80, "drawing")
            told = (await client.get(ticket["links"]["self"])).json()

            assert (told["state"], told["rev"]) == ("working", 2)
            assert told["progress"] == {"at": 12, "of": 80, "text": "drawing"}

    run(go())


def test_who_has_the_revision_is_told_so_at_once(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            reply = await client.get(path, headers={"if-none-match": '"1"'})

            assert (reply.status, reply.body) == (304, b"")
            assert reply.headers["etag"] == '"1"'
            assert "preference-applied" not in reply.headers
            for other in ('"2"', '"0", "17"', "1", "x", '"'):
                assert (await client.get(path, headers={"if-none-match": other})).status == 200

    run(go())


def test_a_long_poll_is_answered_when_the_revision_changes(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            headers = {"prefer": "wait=20", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(path, headers=headers))
            await desk.waiting()
            await desk.wait.progress(1, 2)
            reply = await polling

            assert (reply.status, reply.json()["rev"]) == (200, 2)
            assert reply.headers["preference-applied"] == "wait=20"
            assert not desk.parking.holds

    run(go())


@pytest.mark.parametrize(("asked", "waited"), [("3", 3), ("25", 25), ("9999999999999", 25)])
def test_a_long_poll_ends_after_its_time_and_never_later_than_25_s(desk, asked, waited):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            headers = {"prefer": f"wait={asked}", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(path, headers=headers))
            await desk.waiting()
            desk.pass_time(waited - 0.5)
            for _ in range(20):
                await asyncio.sleep(0)
            assert not polling.done()
            desk.pass_time(1.5)
            reply = await polling

            assert reply.status == 304
            assert reply.headers["preference-applied"] == f"wait={waited}"

    run(go())


def test_what_is_done_leads_to_the_result(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            headers = {"prefer": "wait=20", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(path, headers=headers))
            await desk.waiting()
            await desk.wait.wake("here")

            for reply in [await polling, await client.get(path),
                          await client.get(path, headers=BROWSER)]:  # fmt: skip
                assert reply.status == 303
                assert reply.headers["location"] == path + "/result"
            for _ in range(2):
                reply = await client.get(path + "/result")
                assert (reply.status, reply.json()) == (200, "here")
                assert reply.headers["content-type"] == "application/json"
                assert reply.headers["cache-control"] == "no-store"

    run(go())


def test_a_long_poll_whose_client_leaves_is_forgotten(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            headers = {"prefer": "wait=20", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(path, headers=headers))
            await desk.waiting()
            polling.cancel()
            while desk.parking.holds:
                await asyncio.sleep(0)
            assert await desk.wait.wake("still")

    run(go())


@pytest.mark.parametrize("suffix", ["", "/result"])
def test_a_server_that_stops_answers_who_polls(desk, suffix):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"] + suffix
            headers = {"prefer": "wait=20", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(path, headers=headers))
            await desk.waiting()
            desk.parking.drain()
            assert (await polling).status == (409 if suffix else 304)
            late = await client.get(path, headers=headers)
            assert late.status == (409 if suffix else 304)

    run(go())


def test_polls_count_among_those_that_wait(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            desk.parking.limits = ParkingLimits(1)
            headers = {"prefer": "wait=20", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(path, headers=headers))
            await desk.waiting()
            reply = await client.get(path, headers=headers)
            assert reply.status == 503
            assert reply.headers["retry-after"]
            stream = await client.get(path, headers={"accept": "text/event-stream"})
            assert stream.status == 503
            assert (await client.post("/park/str")).status == 503
            await desk.wait.wake("x")
            await desk.waits[0].wake("x")
            assert (await polling).status == 303

    run(go())


# ---- results -------------------------------------------------------------------------------


def test_a_result_that_is_not_there_yet_is_a_409_with_the_document(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            ticket = await desk.parked(client)
            reply = await client.get(ticket["links"]["result"])

            assert reply.status == 409
            assert reply.headers["retry-after"] == "2"
            problem = reply.json()
            assert problem["detail"]
            assert {name: problem[name] for name in ticket} == ticket

    run(go())


def test_who_asks_for_the_result_can_wait_for_it(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["result"]
            asking = asyncio.create_task(client.get(path, headers={"prefer": "wait=20"}))
            await desk.waiting()
            await desk.wait.progress(1, 2)
            await desk.wait.wake("here")
            reply = await asking
            assert (reply.status, reply.json()) == (200, "here")
            assert reply.headers["preference-applied"] == "wait=20"

    run(go())


@pytest.mark.parametrize(
    ("end", "status", "state"),
    [
        (lambda wait: wait.fail("no paper", 502), 502, "failed"),
        (lambda wait: wait.cancel(), 410, "cancelled"),
    ],
)
def test_what_ended_without_a_value(desk, end, status, state):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client))["links"]
            await end(desk.wait)

            told = await client.get(links["self"])
            assert (told.status, told.json()["state"]) == (200, state)
            if state == "failed":
                assert told.json()["failure"] == {"status": 502, "detail": "no paper"}
            result = await client.get(links["result"])
            assert (result.status, result.json()["state"]) == (status, state)

    run(go())


def test_a_ticket_expires_though_nobody_holds_it(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client))["links"]
            desk.clock.advance(8 * 3600)
            assert (await client.get(links["self"])).json()["state"] == "expired"
            assert (await client.get(links["result"])).status == 504

    run(go())


def test_who_polls_hears_that_a_ticket_expires(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client))["links"]
            desk.clock.advance(8 * 3600 - 10)
            headers = {"prefer": "wait=20", "if-none-match": '"1"'}
            polling = asyncio.create_task(client.get(links["self"], headers=headers))
            await desk.waiting()
            desk.pass_time(11)  # it is looked at then
            desk.pass_time(1)
            while not polling.done():
                desk.parking.tick()
                await asyncio.sleep(0)
            assert (await polling).json()["state"] == "expired"

    run(go())


def test_a_settled_ticket_is_forgotten_when_it_was_kept_long_enough(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client))["links"]
            await desk.wait.wake("x")
            desk.clock.advance(3599)
            assert (await client.get(links["result"])).status == 200
            desk.clock.advance(2)
            assert (await client.get(links["result"])).status == 404
            reply = await client.get(links["self"], headers=BROWSER)
            assert reply.status == 404
            assert "some time after" in reply.text

    run(go())


def test_a_function_makes_the_result_of_the_value(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client, "decision", "?then=shown"))["links"]
            await desk.wait.wake({"ok": True, "reason": "fine"})
            for types in (desk.parking.sharing.types._types, {}):
                desk.parking.sharing.types._types = types
                reply = await client.get(links["result"])
                assert reply.json() == {"shown": "fine", "path": "/park/decision"}
                assert reply.headers["cache-control"] == "no-store"

    run(go())


def test_a_function_that_fails_is_a_500(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client, "str", "?then=broken"))["links"]
            await desk.wait.wake("x")
            reply = await client.get(links["result"])
            assert reply.status == 500
            assert "no answer" not in reply.text

    run(go())


# ---- cancelling ----------------------------------------------------------------------------


def test_cancelling(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["cancel"]
            for _ in range(2):
                reply = await client.delete(path)
                assert (reply.status, reply.json()["state"]) == (200, "cancelled")
            assert not await desk.wait.wake("too late")

            path = (await desk.parked(client))["links"]["cancel"]
            await desk.wait.wake("x")
            reply = await client.delete(path)
            assert (reply.status, reply.json()["state"]) == (200, "done")

    run(go())


def test_cancelling_by_a_form_or_a_beacon(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["self"]
            reply = await client.post(path + "/cancel", headers=BROWSER)
            assert (reply.status, reply.headers["location"]) == (303, path)
            assert (await client.get(path)).json()["state"] == "cancelled"

            path = (await desk.parked(client))["links"]["self"]
            reply = await client.post(path + "/cancel", data="")
            assert (reply.status, reply.json()["state"]) == (200, "cancelled")
            assert (await client.get(path + "/cancel")).status == 405

    run(go())


# ---- who may -------------------------------------------------------------------------------


BAD = ["tk_", "x", "tk_" + "a" * 34, "wk_" + "a" * 34, "tk_" + "%F0%9F%98%80" * 34, "a" * 5000]


@pytest.mark.parametrize("ticket", BAD)
def test_what_is_no_ticket_is_a_404(desk, ticket):
    async def go():
        async with AsyncClient(desk.app) as client:
            for suffix in ("", "/result"):
                for accept in ("*/*", "text/html", "text/event-stream", ";;;"):
                    headers = {"accept": accept, "prefer": "wait=20", "if-none-match": '"1"'}
                    reply = await client.get(f"/-/t/{ticket}{suffix}", headers=headers)
                    assert reply.status == 404
                    assert reply.headers["cache-control"] == "no-store"
            assert (await client.delete(f"/-/t/{ticket}")).status == 404
            assert (await client.post(f"/-/t/{ticket}/cancel")).status == 404

    run(go())


def test_each_character_of_a_ticket_counts(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            ticket = (await desk.parked(client))["ticket"]
            for place in (3, 15, 30, 36):
                wrong = (
                    ticket[:place] + ("A" if ticket[place] != "A" else "B") + ticket[place + 1 :]
                )
                assert (await client.get(f"/-/t/{wrong}")).status == 404
            assert (await client.get(f"/-/t/{desk.wait.token}")).status == 404

    run(go())


def test_a_wait_with_an_owner_is_there_for_its_owner_only(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client, "str", "?owner=ada"))["links"]["self"]
            assert (await client.get(path)).status == 404
            desk.app._waiting.owner_of = lambda request: request.headers.get("x-user")
            for user in ({}, {"x-user": "bob"}, {"x-user": "ünal"}):
                assert (await client.get(path, headers=user)).status == 404
                assert (await client.delete(path, headers=user)).status == 404
            assert (await client.get(path, headers={"x-user": "ada"})).status == 200
            assert (await client.delete(path, headers={"x-user": "ada"})).status == 200

    run(go())


# ---- the request that began it ---------------------------------------------------------------


def test_a_request_that_is_handed_over_says_which_preferences_counted(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            reply = await client.post("/park/str", headers=ASYNC)
            assert reply.headers["preference-applied"] == "respond-async"
            assert reply.headers["location"] == reply.json()["links"]["self"]
            assert reply.headers["retry-after"] == "2"

            headers = {"prefer": "respond-async, wait=8"}
            asking = asyncio.create_task(client.post("/park/str", headers=headers))
            while len(desk.waits) < 2 or not desk.parking.holds:
                await asyncio.sleep(0)
            await desk.wait.wake("soon")
            reply = await asking
            assert (reply.status, reply.text) == (200, "soon")
            assert reply.headers["preference-applied"] == "respond-async, wait=8"

    run(go())


def test_a_durable_wait_that_is_settled_already_is_answered_at_once():
    app = App(store="memory")

    @app.get("/")
    async def early():
        wait = app.park(str, durable=True)
        await wait.wake("before")
        assert await wait == "before"
        return wait

    with app.testing() as client:
        reply = client.get("/")
        assert (reply.status, reply.text) == (200, "before")


# ---- where they are --------------------------------------------------------------------------


def test_they_are_no_routes_of_the_author(desk):
    assert [row.path for row in desk.app.routes()] == ["/park/{kind}"] * 2
    assert "/-/" not in desk.app.site_map()
    internal = {row.path for row in desk.app.routes(internal=True)}
    assert {"/-/t/{ticket}", "/-/w/{token}", "/-/events"} <= internal


def test_nobody_else_has_addresses_there():
    app = App(store="memory", internal="/_own")
    for path in ("/_own", "/_own/x", "_own/x", "/_own/t/{x}"):
        with pytest.raises(RegistrationError, match="_own"):
            app.get(path)(lambda: "mine")
    with pytest.raises(RegistrationError, match="_own"):
        app.group("/_own").get("/x")(lambda: "mine")
    app.get("/-/x")(lambda: "mine")
    app.get("/_owner")(lambda: "mine")
    with app.testing() as client:
        assert client.get("/-/x").text == "mine"
        assert client.get("/_own/t/x").status == 404
        assert client.put("/_own/t/x").headers["allow"] == "GET, HEAD, DELETE, OPTIONS"


@pytest.mark.parametrize("prefix", ["", "/", "-", "/-/", "/a//b", "/{a}", "/*", "/a b", "/a?"])
def test_a_prefix_that_cannot_be(prefix):
    with pytest.raises(ValueError, match="internal"):
        App(internal=prefix)


def test_any_error_status_can_be_a_failure_and_no_other():
    app = App(store="memory")
    for status in (200, 303, 399, 600):
        with pytest.raises(ValueError, match="between 400 and 599"):
            app.park(str).fail("x", status)
