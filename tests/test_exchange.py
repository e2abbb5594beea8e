"""The seam: bodies read in either way, and a client that leaves is told to everybody."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.exchange import BODY_HIGH_WATER_BYTES, BodyTooLarge, ClientGone, HandshakeError
from tarry.message.websockets import WebSocketOptions
from tests.exchanges import Recorded, turns


def with_body(test):
    """Run `test(exchange)` on a loop, for a request with a body."""

    async def run():
        await test(Recorded("POST", body=True, expects=True))

    asyncio.run(run())


def test_a_request_without_a_body_has_none():
    async def run():
        return Recorded().body

    assert asyncio.run(run()) is None


# ── reading piece by piece ────────────────────────────────────────────────────────────────


def test_pieces_are_read_as_they_come():
    async def test(exchange):
        body = exchange.body
        reading = asyncio.create_task(body.read())
        await turns()
        assert not reading.done()

        body.feed(b"one")
        assert await reading == b"one"
        body.feed(b"two")
        body.feed(b"three")
        assert await body.read() == b"twothree"
        body.finish([])
        assert await body.read() == b""
        assert await body.read() == b""

    with_body(test)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.booleans()), max_size=20))
def test_what_is_fed_is_what_is_read(pieces):
    async def test(exchange):
        read = b""
        for piece, reads_now in pieces:
            exchange.body.feed(piece)
            if reads_now:
                read += await exchange.body.read()
        exchange.body.finish([])
        while piece := await exchange.body.read():
            read += piece

        assert read == b"".join(piece for piece, _ in pieces)
        assert exchange.body.buffered_bytes == 0

    with_body(test)


def test_trailers_are_there_at_the_end():
    async def test(exchange):
        exchange.body.finish([(b"x-sum", b"7")])

        assert exchange.body.trailers == [(b"x-sum", b"7")]

    with_body(test)


def test_the_client_is_asked_for_the_body_once_and_when_it_is_read():
    async def test(exchange):
        exchange.body.feed(b"x")
        assert exchange.asked_for_body == 0

        await exchange.body.read()
        exchange.body.finish([])
        await exchange.body.read()
        assert exchange.asked_for_body == 1

    with_body(test)


def test_only_a_client_that_expects_it_is_asked():
    async def run():
        exchange = Recorded("POST", body=True)
        exchange.body.finish([])
        await exchange.body.read()
        return exchange.asked_for_body

    assert asyncio.run(run()) == 0


# ── the whole body ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fed_before", [0, 1, 2, 3])
def test_the_whole_body_comes_once(fed_before):
    async def test(exchange):
        steps = [
            lambda: exchange.body.feed(b"one"),
            lambda: exchange.body.feed(b"two"),
            lambda: exchange.body.finish([]),
        ]
        whole = []
        for step in steps[:fed_before]:
            step()
        exchange.body.on_complete(whole.append, pytest.fail)
        for step in steps[fed_before:]:
            assert whole == []
            step()

        assert whole == [b"onetwo"]
        # One who has sent everything need not be asked for it.
        assert exchange.asked_for_body == (1 if fed_before < 3 else 0)

    with_body(test)


def limited(max_bytes, announced=None):
    headers = [] if announced is None else [("content-length", str(announced))]
    exchange = Recorded("POST", "/", headers, body=True, expects=True)
    exchange.body.max_bytes = max_bytes
    return exchange


async def read_all(body):
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(("size", "fits"), [(10, True), (11, False)])
@pytest.mark.parametrize("pieces", [1, 2, 11])
@pytest.mark.parametrize("wanted_after", [0, 1, 99])
@pytest.mark.parametrize("way", ["whole", "pieces"])
def test_a_body_at_the_limit_and_one_beyond(size, fits, pieces, wanted_after, way):
    async def run():
        body = limited(10).body
        whole, refused = [], []
        data = b"x" * size
        step = -(-size // pieces)
        cut = [data[at : at + step] for at in range(0, size, step)]
        steps = [*(lambda piece=piece: body.feed(piece) for piece in cut[:-1])]
        steps.append(lambda: body.finish([], cut[-1]))
        reading = None
        for number, take in enumerate([*steps, lambda: None]):
            if number == min(wanted_after, len(steps)):
                if way == "whole":
                    body.on_complete(whole.append, refused.append)
                else:
                    reading = asyncio.create_task(read_all(body))
                    await turns()
            take()
        if reading is not None:
            try:
                whole.append(await reading)
            except BodyTooLarge as error:
                refused.append(error)
        assert whole == ([data] if fits else [])
        assert [error.max_bytes for error in refused] == ([] if fits else [10])
        assert body.buffered_bytes == 0

    asyncio.run(run())


def test_a_body_that_is_announced_too_large_is_refused_before_the_client_is_asked_for_it():
    async def run():
        exchange = limited(10, announced=11)
        refused = []
        exchange.body.on_complete(pytest.fail, refused.append)
        assert len(refused) == 1
        assert exchange.asked_for_body == 0

        exchange = limited(10, announced=11)
        with pytest.raises(BodyTooLarge, match="10 bytes"):
            await exchange.body.read()
        assert exchange.asked_for_body == 0

    asyncio.run(run())


def test_a_second_reader_is_told_of_the_first():
    async def test(exchange):
        first = asyncio.create_task(exchange.body.read())
        await turns()
        with pytest.raises(RuntimeError, match="two readers"):
            await exchange.body.read()
        exchange.body.feed(b"one")
        assert await first == b"one"

    with_body(test)


@pytest.mark.parametrize("asks", ["early", "late"])
def test_the_whole_body_never_comes_when_the_client_leaves(asks):
    async def test(exchange):
        whole, refused = [], []
        exchange.body.feed(b"one")
        if asks == "late":
            exchange.leave()
        exchange.body.on_complete(whole.append, refused.append)
        exchange.leave()
        exchange.body.finish([])

        assert whole == []
        assert [type(error) for error in refused] == [ClientGone]


def test_arguments_come_before_the_whole_body_and_before_what_refuses_it():
    async def test(exchange):
        calls = []
        exchange.body.on_complete(lambda *given: calls.append(given), pytest.fail, 1, 2)
        exchange.body.finish([], b"all")
        assert calls == [(1, 2, b"all")]

    async def refuse(exchange):
        calls = []
        exchange.body.max_bytes = 2
        exchange.body.on_complete(pytest.fail, lambda *given: calls.append(given), 1, 2)
        exchange.body.feed(b"all")
        ((first, second, error),) = calls
        assert (first, second, type(error)) == (1, 2, BodyTooLarge)

    with_body(test)
    with_body(refuse)

    with_body(test)


# ── pace ──────────────────────────────────────────────────────────────────────────────────


def test_a_reader_that_is_behind_holds_the_client_back_until_it_reads():
    async def test(exchange):
        body = exchange.body
        body.feed(bytes(BODY_HIGH_WATER_BYTES - 1))
        assert not body.full
        body.feed(b"x")
        assert body.full
        assert exchange.resumed == 0

        await body.read()
        assert not body.full
        assert exchange.resumed == 1
        body.feed(b"x")
        await body.read()
        assert exchange.resumed == 1

    with_body(test)


def test_who_wants_the_whole_body_holds_nobody_back():
    async def test(exchange):
        exchange.body.feed(bytes(BODY_HIGH_WATER_BYTES))
        exchange.body.on_complete(lambda body: None, pytest.fail)

        assert not exchange.body.full

    with_body(test)


def test_asking_for_the_whole_body_lets_a_client_go_on_that_was_held_back():
    async def test(exchange):
        exchange.body.feed(bytes(BODY_HIGH_WATER_BYTES))
        assert exchange.body.full
        exchange.body.on_complete(lambda body: None, pytest.fail)

        assert exchange.resumed == 1

    with_body(test)


# ── a client that leaves ──────────────────────────────────────────────────────────────────


def test_a_waiting_reader_hears_that_the_client_left():
    async def test(exchange):
        reading = asyncio.create_task(exchange.body.read())
        await turns()
        exchange.leave()

        with pytest.raises(ClientGone):
            await reading
        with pytest.raises(ClientGone):
            await exchange.body.read()

    with_body(test)


def test_what_came_before_can_still_be_read():
    async def test(exchange):
        exchange.body.feed(b"one")
        exchange.leave()

        assert await exchange.body.read() == b"one"
        with pytest.raises(ClientGone):
            await exchange.body.read()

    with_body(test)


def test_a_body_that_was_complete_stays_so():
    async def test(exchange):
        exchange.body.feed(b"one")
        exchange.body.finish([])
        exchange.leave()

        assert await exchange.body.read() == b"one"
        assert await exchange.body.read() == b""

    with_body(test)


def test_a_cancelled_reader_harms_nobody():
    async def test(exchange):
        reading = asyncio.create_task(exchange.body.read())
        await turns()
        reading.cancel()
        await turns()
        exchange.body.feed(b"one")

        assert await exchange.body.read() == b"one"

    with_body(test)


def test_everybody_is_told_once_that_the_client_left():
    async def test(exchange):
        told = []
        exchange.on_gone(lambda: told.append("a"))
        exchange.on_gone(lambda: told.append("b"))
        assert not exchange.gone
        exchange.leave()
        exchange.leave()

        assert exchange.gone
        assert told == ["a", "b"]

    with_body(test)


def test_who_asks_late_is_told_at_once():
    async def test(exchange):
        told = []
        exchange.leave()
        exchange.on_gone(lambda: told.append("late"))

        assert told == ["late"]

    with_body(test)


def test_nothing_is_written_to_a_client_that_left():
    async def test(exchange):
        exchange.leave()
        with pytest.raises(ClientGone):
            await exchange.write(b"x")

        assert exchange.pieces == []

    with_body(test)


def test_there_are_no_websockets_unless_a_server_has_them():
    with pytest.raises(HandshakeError) as raised:
        Recorded().websocket(WebSocketOptions())

    assert raised.value.status == 501


def test_a_limit_counts_for_what_was_read_before():
    async def test(exchange):
        exchange.body.limit(2)
        exchange.body.feed(b"one")
        exchange.body.limit(4)
        reading = asyncio.create_task(exchange.body.read_all())
        await turns()
        exchange.body.limit(3)
        with pytest.raises(BodyTooLarge):
            exchange.body.limit(2)
        exchange.body.limit(3)
        exchange.body.finish([])
        assert await reading == b"one"

    with_body(test)


def test_who_reads_all_and_is_cancelled_leaves_it_to_the_next():
    async def test(exchange):
        body = exchange.body
        reading = asyncio.create_task(body.read_all())
        for piece in (b"one", b"two"):
            body.feed(piece)
            await turns()
        reading.cancel()
        await asyncio.wait([reading])
        assert body.buffered_bytes == 6
        body.finish([], b"three")
        assert await body.read_all() == b"onetwothree"

    with_body(test)


# ── parked ────────────────────────────────────────────────────────────────────────────────


def test_an_exchange_is_parked_until_it_goes_on():
    exchange = Recorded()
    assert not exchange.is_parked
    exchange.park()
    exchange.park()
    assert exchange.is_parked
    exchange.resume()
    exchange.resume()
    assert not exchange.is_parked


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_all_who_want_to_know_hear_of_a_client_that_leaves(count):
    told, exchange = [], Recorded()
    for number in range(count):
        exchange.on_gone(lambda number=number: told.append(number))
    exchange.lose()
    exchange.lose()

    assert told == list(range(count))
