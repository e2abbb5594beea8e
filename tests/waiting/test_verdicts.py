"""What a wake gives: a bool in threads, something to await on the loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from tarry.waiting.ledger import done
from tarry.waiting.verdicts import Verdict
from tests.exchanges import turns


@pytest.mark.parametrize("accepted", [True, False])
def test_one_that_is_known_is_a_bool_everywhere(accepted):
    async def test():
        assert await Verdict(done(accepted)) is accepted
        return bool(Verdict(done(accepted)))

    assert asyncio.run(test()) is accepted
    assert bool(Verdict(done(accepted))) is accepted


def test_on_the_loop_one_that_is_not_known_yet_has_to_be_awaited():
    async def test():
        future: Future[bool] = Future()
        verdict = Verdict(future)
        with pytest.raises(RuntimeError, match="awaited"):
            bool(verdict)
        awaiting = asyncio.ensure_future(_awaited(verdict))
        await turns()
        future.set_result(True)
        return await awaiting

    assert asyncio.run(test()) is True


async def _awaited(verdict):
    return await verdict


def test_who_gives_up_awaiting_takes_nothing_away_from_others():
    async def test():
        future: Future[bool] = Future()
        impatient = asyncio.ensure_future(_awaited(Verdict(future)))
        patient = asyncio.ensure_future(_awaited(Verdict(future)))
        await turns()
        impatient.cancel()
        await turns()
        future.set_result(True)
        return await patient

    assert asyncio.run(test()) is True


def test_an_error_is_raised_where_it_is_looked_at():
    future: Future[bool] = Future()
    future.set_exception(KeyError("store"))

    with pytest.raises(KeyError):
        bool(Verdict(future))


def test_it_says_what_it_is():
    assert repr(Verdict(done(True))) == "<Verdict True>"
    assert repr(Verdict(Future())) == "<Verdict not yet>"
