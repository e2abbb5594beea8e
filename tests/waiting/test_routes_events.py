"""The events of tickets: what a client has missed, then each change, one ticket or many."""

from __future__ import annotations

import asyncio

import pytest

from tarry.testing import AsyncClient
from tarry.waiting.records import MAX_EVENTS, Failure, Record, changed
from tarry.waiting.records import Progress as Step
from tarry.waiting.ticket_events import GONE, UNKNOWN, news, read_cursors
from tests.waiting.tickets_app import STREAM, Desk, events_of


@pytest.fixture
def desk():
    return Desk()


def run(coroutine):
    return asyncio.run(coroutine)


def names(reply):
    return [(id, name) for id, name, _ in events_of(reply)]


def test_each_change_is_an_event_and_the_last_one_has_the_value(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            asking = asyncio.create_task(client.get(path, headers=STREAM))
            await desk.quiet()
            await desk.wait.progress(1, 2, "half")
            await desk.wait.progress(2, 2)
            await desk.wait.wake("here")
            reply = await asking

            assert reply.headers["content-type"] == "text/event-stream"
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["x-accel-buffering"] == "no"
            assert reply.body.startswith(b"retry: 2000\n")
            first, one, two, done = events_of(reply)
            assert first[:2] == ("1", "progress")
            assert first[2]["state"] == "waiting"
            assert one[:2] == ("2", "progress")
            assert one[2]["progress"] == {"at": 1, "of": 2, "text": "half"}
            assert (one[2]["rev"], one[2]["state"]) == (2, "working")
            assert two[:2] == ("3", "progress")
            assert done[:2] == ("4", "done")
            assert (done[2]["state"], done[2]["value"]) == ("done", "here")
            assert done[2]["ticket"] == desk.wait.ticket
            assert not desk.parking.holds

    run(go())


def test_who_comes_back_gets_what_they_have_missed(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            for at in range(4):
                await desk.wait.progress(at, 4)
            await desk.wait.wake("here")

            for seen, expected in [
                ("", ["2", "3", "4", "5", "6"]),
                ("1", ["2", "3", "4", "5", "6"]),
                ("4", ["5", "6"]),
                ("5", ["6"]),
            ]:
                reply = await client.get(path, headers=STREAM | {"last-event-id": seen})
                assert [id for id, _ in names(reply)] == expected
                told = events_of(reply)[0][2]
                if len(expected) > 1:
                    assert told["rev"] == int(expected[0])
                    assert told["progress"]["at"] == int(expected[0]) - 2

    run(go())


def test_who_has_heard_the_end_is_told_not_to_come_back(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            await desk.wait.wake("here")
            reply = await client.get(path, headers=STREAM | {"last-event-id": "2"})
            assert (reply.status, reply.body) == (204, b"")

    run(go())


@pytest.mark.parametrize("seen", ["9", "x", "-1", "1.2", "٣", "1" * 5000])
def test_an_unknown_id_is_a_gap_with_what_is_true_now(desk, seen):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            await desk.wait.fail("no", 418)
            header = seen.encode().decode("latin-1")
            reply = await client.get(path, headers=STREAM | {"last-event-id": header})
            gap, failed = events_of(reply)
            assert gap[:2] == ("2", "gap")
            assert gap[2]["state"] == "failed"
            assert failed[:2] == ("2", "failed")
            assert failed[2]["failure"] == {"status": 418, "detail": "no"}

    run(go())


def test_what_is_not_kept_any_more_is_a_gap(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            for at in range(MAX_EVENTS + 10):
                await desk.wait.progress(at)
            await desk.wait.cancel()
            reply = await client.get(path, headers=STREAM | {"last-event-id": "3"})
            heard = names(reply)
            assert heard[0] == ("11", "gap")
            assert heard[1] == ("12", "progress")
            assert len(heard) == 1 + MAX_EVENTS + 1
            assert heard[-1] == (str(MAX_EVENTS + 12), "cancelled")

    run(go())


@pytest.mark.parametrize(("size", "has_value"), [(16 * 1024 - 2, True), (16 * 1024 - 1, False)])
def test_a_large_value_is_fetched(desk, size, has_value):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client))["links"]
            await desk.wait.wake("x" * size)
            ((_, _, told),) = events_of(await client.get(links["events"], headers=STREAM))
            assert ("value" in told) is has_value
            assert len((await client.get(links["result"])).json()) == size

    run(go())


def test_a_value_that_a_function_answers_with_is_fetched(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            links = (await desk.parked(client, "decision", "?then=shown"))["links"]
            await desk.wait.wake({"ok": True})
            ((_, name, told),) = events_of(await client.get(links["events"], headers=STREAM))
            assert name == "done"
            assert "value" not in told

    run(go())


def test_a_value_of_another_kind_is_not_looked_into(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            now_s = desk.clock.wall_s()
            made = Record("x" * 12, b"s" * 16, now_s, now_s + 60, 60, kind="answer")
            ledger = desk.app._waiting.ledger
            ledger.add(made).result()
            ledger.change(made.id, "wake", value=b"\x00no JSON").result()
            path = desk.app._waiting.addresses.ticket_path(made)
            ((_, name, told),) = events_of(await client.get(path, headers=STREAM))
            assert name == "done"
            assert "value" not in told

    run(go())


def test_streams_end_when_the_server_stops(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            asking = asyncio.create_task(client.get(path, headers=STREAM))
            await desk.waiting()
            desk.parking.drain()
            assert names(await asking) == [("1", "progress")]

    run(go())


def test_a_client_that_leaves_its_stream_is_forgotten(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            asking = asyncio.create_task(client.get(path, headers=STREAM))
            await desk.waiting()
            asking.cancel()
            while desk.parking.holds:
                await asyncio.sleep(0)

    run(go())


def test_head_of_a_stream_follows_nothing(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            path = (await desk.parked(client))["links"]["events"]
            reply = await client.head(path, headers=STREAM)
            assert (reply.status, reply.body) == (200, b"")
            assert not desk.parking.holds

    run(go())


# ---- many tickets ----------------------------------------------------------------------------


def test_many_tickets_share_a_stream(desk):
    async def go():
        async with AsyncClient(desk.app) as client:
            tickets = [(await desk.parked(client))["ticket"] for _ in range(3)]
            t = ",".join([*tickets, "tk_nothing", tickets[0]])
            asking = asyncio.create_task(client.get(f"/-/events?t={t}"))
            await desk.quiet()
            await desk.waits[1].wake("b")
            await desk.waits[0].progress(1)
            await desk.waits[2].cancel()
            await desk.waits[0].wake("a")
            heard = events_of(await asking)

            of = {ticket: [] for ticket in (*tickets, "tk_nothing")}
            for _, name, told in heard:
                of[told["ticket"]].append(name)
            assert of == {
                tickets[0]: ["progress", "progress", "done"],
                tickets[1]: ["progress", "done"],
                tickets[2]: ["progress", "cancelled"],
                "tk_nothing": ["gone"],
            }
            assert heard[-1][0] == "3.2.2.-"

            for seen, expected in [
                ("3.2.2.-", None),
                ("2.2.1.-", [("3.2.1.-", "done"), ("3.2.2.-", "cancelled")]),
                ("3.2.2.0", [("3.2.2.-", "gone")]),
                ("3.2.7.-", [("3.2.2.-", "gap"), ("3.2.2.-", "cancelled")]),
            ]:
                reply = await client.get(f"/-/events?t={t}", headers={"last-event-id": seen})
                if expected is None:
                    assert reply.status == 204
                else:
                    assert names(reply) == expected

    run(go())


def test_how_many_tickets_a_stream_takes(desk):
    async def go():
        async with AsyncClient(desk.app) as client:

            def t(count):
                return ",".join(f"tk_{number}" for number in range(count))

            assert (await client.get(f"/-/events?t={t(100)}")).status == 200
            for bad in (f"?t={t(101)}", "?t=", "?t=,,", ""):
                assert (await client.get(f"/-/events{bad}")).status == 400

    run(go())


# ---- the rules ---------------------------------------------------------------------------------


def test_ids_of_events_are_read_strictly():
    assert read_cursors(None, 2) == [0, 0]
    assert read_cursors("3.-", 2) == [3, GONE]
    for text in ("", "3", "3.4.5", "3.x", "3.", "1e5.2", "3.-4", "3." + "9" * 10):
        assert read_cursors(text, 2) == [UNKNOWN] * 2


def record(*steps):
    now = Record(id="x", secret=b"", created_s=0, deadline_s=9, keep_s=9)
    for action in steps:
        fields = {"progress": {"progress": Step(1)}, "fail": {"failure": Failure(500, "")}}
        now = changed(now, action, 1.0, **fields.get(action, {}))
    return now


@pytest.mark.parametrize(
    ("steps", "seen", "expected"),
    [
        ((), 0, [(1, "progress")]),
        ((), 1, []),
        (("progress",), 0, [(2, "progress")]),
        (("progress",), 1, [(2, "progress")]),
        (("progress",), 2, []),
        (("ask",), 0, [(2, "progress")]),
        (("ask",), 2, []),
        (("progress", "ask"), 1, [(2, "progress"), (3, "progress")]),
        (("wake",), 0, [(2, "done")]),
        (("wake",), 2, []),
        (("progress", "fail"), 2, [(3, "failed")]),
        (("progress", "fail"), 5, [(3, "gap"), (3, "failed")]),
        (("progress",), 5, [(2, "gap")]),
    ],
)
def test_what_a_client_has_to_hear(steps, seen, expected):
    heard = [(each.rev, each.name) for each in news(record(*steps), seen)]

    assert heard == expected
    if heard:
        assert list(news(record(*steps), heard[-1][0])) == []
