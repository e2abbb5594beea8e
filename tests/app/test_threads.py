"""The thread pool: bounded, grows when calls wait, wakes the loop once for many results."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections import deque

import pytest

from tarry.app import threads
from tarry.app.threads import ThreadPool

WAIT_S = 10.0
"""A bound for what a test waits for; none passes by waiting this long."""

tenant = contextvars.ContextVar("tenant", default="none")


class Results:
    """Collects what a pool hands back, and says when all of it is there."""

    def __init__(self):
        self.values = []
        self.errors = []
        self._waiters: deque[tuple[int, asyncio.Future]] = deque()

    def __call__(self, result, error):
        (self.errors if error is not None else self.values).append(
            result if error is None else error
        )
        while self._waiters and self.count >= self._waiters[0][0]:
            self._waiters.popleft()[1].set_result(None)

    @property
    def count(self):
        return len(self.values) + len(self.errors)

    async def reach(self, count):
        if self.count < count:
            future = asyncio.get_running_loop().create_future()
            self._waiters.append((count, future))
            await asyncio.wait_for(future, WAIT_S)


class Gate:
    """Calls that wait until the test opens it; counts how many are inside."""

    def __init__(self):
        self.inside = self.most = 0
        self._lock = threading.Lock()
        self._entered = threading.Semaphore(0)
        self._open = threading.Event()

    def wait(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._entered.release()
        assert self._open.wait(WAIT_S)
        with self._lock:
            self.inside -= 1

    async def entered(self, count):
        for _ in range(count):
            assert await asyncio.to_thread(self._entered.acquire, timeout=WAIT_S)

    def open(self):
        self._open.set()


def in_pool(test, *arguments, **settings):
    """Run `test(pool, results)` on a loop and close the pool after it."""

    async def run():
        pool = ThreadPool(*arguments, **settings)
        try:
            await test(pool, Results())
        finally:
            pool.close()

    asyncio.run(run())


def handler_threads():
    return [thread for thread in threading.enumerate() if thread.name == "tarry-handler"]


async def all_ended():
    for thread in handler_threads():
        await asyncio.to_thread(thread.join, WAIT_S)
        assert not thread.is_alive()


def test_calls_and_their_results():
    async def test(pool, results):
        assert pool.submit(divmod_named, {"number": 7, "by": 2}, results)
        await results.reach(1)

        assert results.values == [(3, 1)]

    in_pool(test, 2, 10)


def divmod_named(number, by):
    return divmod(number, by)


def test_a_handler_runs_in_another_thread_than_its_result():
    async def test(pool, results):
        handed_on_in = []

        def done(result, error):
            handed_on_in.append(threading.get_ident())
            results(result, error)

        pool.submit(threading.get_ident, {}, done)
        await results.reach(1)

        assert handed_on_in == [threading.get_ident()]
        assert results.values[0] != threading.get_ident()

    in_pool(test, 1, 1)


def test_the_context_is_that_of_submit():
    async def test(pool, results):
        gate = Gate()
        pool.submit(gate.wait, {}, results)
        for name in ("a", "b"):
            tenant.set(name)
            pool.submit(tenant.get, {}, results)
        tenant.set("later")
        gate.open()
        await results.reach(3)

        assert results.values == [None, "a", "b"]

    in_pool(test, 1, 10)


def test_what_goes_ahead_is_called_first_in_its_own_order():
    async def test(pool, results):
        gate, order = Gate(), []
        pool.submit(gate.wait, {}, results)
        await gate.entered(1)
        new = [asyncio.ensure_future(pool.run(order.append, f"new {n}")) for n in range(2)]
        ahead = [
            asyncio.ensure_future(pool.run(order.append, f"ahead {n}", ahead=True))
            for n in range(2)
        ]
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(*new, *ahead)

        assert order == ["ahead 0", "ahead 1", "new 0", "new 1"]

    in_pool(test, 1, 10)


def test_what_goes_ahead_gets_threads_of_its_own_and_takes_no_place_from_others():
    async def test(pool, results):
        gate = Gate()
        ahead = [asyncio.ensure_future(pool.run(gate.wait, ahead=True)) for _ in range(3)]
        await gate.entered(3)
        assert not pool.is_full
        assert pool.submit(int, {}, results)
        assert pool.is_full
        assert not pool.submit(int, {}, results)
        gate.open()
        await asyncio.gather(*ahead)
        await results.reach(1)

    in_pool(test, 3, 1)


def test_what_a_call_sets_stays_in_its_context():
    async def test(pool, results):
        for _ in range(3):
            pool.submit(lambda: (tenant.get(), tenant.set("changed"))[0], {}, results)
            await results.reach(results.count + 1)

        assert results.values == ["none"] * 3

    in_pool(test, 1, 10)


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_a_call_raises_is_handed_on_and_the_thread_goes_on(kind):
    def fail():
        raise kind("reason")

    async def test(pool, results):
        pool.submit(fail, {}, results)
        pool.submit(str, {"object": 1}, results)
        await results.reach(2)

        assert [type(error) for error in results.errors] == [kind]
        assert results.values == ["1"]

    in_pool(test, 1, 10)


def test_a_stop_iteration_is_an_error_like_others():
    async def test(pool, results):
        pool.submit(lambda: next(iter(())), {}, results)
        await results.reach(1)

        assert isinstance(results.errors[0], StopIteration)

    in_pool(test, 1, 10)


# ── bounds ────────────────────────────────────────────────────────────────────────────────


def test_no_more_threads_than_allowed():
    async def test(pool, results):
        gate = Gate()
        for _ in range(20):
            assert pool.submit(gate.wait, {}, results)
        await gate.entered(3)
        gate.open()
        await results.reach(20)

        assert gate.most == 3

    in_pool(test, 3, 100)


def test_all_threads_are_used_when_calls_block():
    async def test(pool, results):
        gate = Gate()
        for _ in range(8):
            pool.submit(gate.wait, {}, results)
        await gate.entered(8)  # Would never come with fewer threads.
        gate.open()
        await results.reach(8)

    in_pool(test, 8, 100)


def test_calls_that_end_at_once_share_one_thread():
    async def test(pool, results):
        for count in range(1, 51):
            pool.submit(threading.get_ident, {}, results)
            await results.reach(count)

        assert len(set(results.values)) == 1

    in_pool(test, 40, 100)


def test_beyond_the_queue_calls_are_refused_and_room_comes_back():
    async def test(pool, results):
        gate = Gate()
        pool.submit(gate.wait, {}, results)
        await gate.entered(1)
        accepted = [pool.submit(gate.wait, {}, results) for _ in range(5)]
        assert accepted == [True, True, True, False, False]

        gate.open()
        await results.reach(4)

        assert pool.submit(gate.wait, {}, results)
        await results.reach(5)

    in_pool(test, 1, 3)


@pytest.mark.parametrize(("max_threads", "max_queued"), [(0, 1), (1, 0), (-1, 5)])
def test_a_pool_of_nothing_is_refused(max_threads, max_queued):
    async def run():
        with pytest.raises(ValueError, match="at least one thread and one place"):
            ThreadPool(max_threads, max_queued)

    asyncio.run(run())


# ── wake-ups ──────────────────────────────────────────────────────────────────────────────


def test_many_results_cost_one_wake_up(monkeypatch):
    async def test(pool, results):
        loop = asyncio.get_running_loop()
        wake_ups = []
        call_soon_threadsafe = loop.call_soon_threadsafe

        def counted(callback, *arguments, **named):
            if callback == pool._flush:
                wake_ups.append(callback)
            return call_soon_threadsafe(callback, *arguments, **named)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        last = threading.Event()
        for _ in range(99):
            pool.submit(int, {}, results)
        pool.submit(last.set, {}, results)
        await asyncio.sleep(0)
        # The loop is busy here, as with other requests, while the thread works off its queue.
        assert last.wait(WAIT_S)
        await results.reach(100)

        # The thread may have set the event and not yet handed on that last result.
        assert 1 <= len(wake_ups) <= 2

    in_pool(test, 1, 1000)


def test_a_result_that_cannot_be_handed_on_does_not_hold_up_the_others():
    async def test(pool, results):
        told = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        broken = RuntimeError("no way to answer")
        last = threading.Event()

        def done(result, error):
            raise broken

        pool.submit(int, {}, done)
        pool.submit(int, {}, results)
        pool.submit(last.set, {}, results)
        await asyncio.sleep(0)
        assert last.wait(WAIT_S)
        await results.reach(2)

        assert told == [broken]

    in_pool(test, 1, 10)


# ── the end ───────────────────────────────────────────────────────────────────────────────


def test_threads_end_when_they_have_nothing_to_do():
    async def test(pool, results):
        gate = Gate()
        for _ in range(4):
            pool.submit(gate.wait, {}, results)
        await gate.entered(4)
        gate.open()
        await results.reach(4)
        await all_ended()

        pool.submit(int, {}, results)
        await results.reach(5)

    in_pool(test, 4, 10, calm_s=0.01)


def test_a_call_that_comes_while_the_last_thread_ends_is_made():
    """With as many threads as allowed, nobody else would ever take it."""

    class Late(threads.queue.SimpleQueue):
        """Holds a thread between the word that it shall end and its end."""

        def get(self, *arguments, **named):
            stays = super().get(*arguments, **named)
            if not stays:
                told_to_end.set()
                assert go_on.wait(WAIT_S)
            return stays

    told_to_end, go_on = threading.Event(), threading.Event()

    async def test(pool, results):
        pool._wake_ups = Late()
        pool.submit(int, {}, results)
        await results.reach(1)
        assert await asyncio.to_thread(told_to_end.wait, WAIT_S)
        pool.submit(int, {}, results)
        await asyncio.sleep(0)
        go_on.set()
        await results.reach(2)

    in_pool(test, 1, 10, calm_s=0.01)


def test_calls_that_wait_at_close_are_made_and_new_ones_refused():
    async def test(pool, results):
        gate = Gate()
        for _ in range(3):
            pool.submit(gate.wait, {}, results)
        await gate.entered(1)
        pool.close()

        assert not pool.submit(int, {}, results)
        gate.open()
        await results.reach(3)
        await all_ended()

    in_pool(test, 1, 10)


def test_a_call_that_was_not_handed_out_at_close_is_made_and_its_thread_ends():
    async def test(pool, results):
        pool.submit(int, {}, results)
        pool.close()
        await results.reach(1)
        await all_ended()

    in_pool(test, 1, 10)


def test_a_call_that_outlives_the_loop_ends_in_silence():
    gate = Gate()

    async def run():
        pool = ThreadPool(1, 1)
        pool.submit(gate.wait, {}, Results())
        await gate.entered(1)
        pool.close()

    asyncio.run(run())
    (thread,) = handler_threads()
    gate.open()
    thread.join(WAIT_S)  # An error in it would fail the test: pytest makes it one.

    assert not thread.is_alive()


@pytest.mark.parametrize("fails", [False, True])
def test_an_idle_thread_keeps_nothing_of_its_last_call(fails):
    class Argument:
        pass

    class Watched(threads.queue.SimpleQueue):
        """Tells when a thread comes for a call."""

        def get(self, *arguments, **named):
            came.release()
            return super().get(*arguments, **named)

    def function(argument):
        if fails:
            raise ValueError(argument)
        return argument

    came = threading.Semaphore(0)

    async def test(pool, results):
        pool._wake_ups = Watched()
        argument = Argument()
        reference = weakref.ref(argument)
        pool.submit(function, {"argument": argument}, lambda result, error: results(None, None))
        del argument
        await results.reach(1)
        assert await asyncio.to_thread(came.acquire, timeout=WAIT_S)
        gc.collect()

        assert reference() is None

    in_pool(test, 1, 10)
