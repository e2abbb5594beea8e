"""Jobs on the loop: tasks that are cancelled."""

from __future__ import annotations

import asyncio

import pytest

from tarry import HttpError, Upload
from tarry.jobs.callables import job_function
from tarry.jobs.job import Job
from tarry.jobs.orders import FileArgument
from tarry.jobs.runners.tasks import TaskRunner
from tarry.waiting.records import CANCELLED, DONE, FAILED, INTERRUPTED
from tests.jobs.runners import attempts
from tests.jobs.runners.attempts import started


async def adds(a: int, b: int, job: Job):
    job.progress(1, 2)
    return a + b


async def waits(job: Job):
    job.log("waiting")
    await asyncio.Event().wait()


async def steps(job: Job):
    while True:
        job.progress(1)
        await asyncio.sleep(0)


async def ignores(job: Job):
    """Go on for ever, whoever cancels."""
    job.log("waiting")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def ignores_once(job: Job):
    try:
        job.log("waiting")
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "all the same"


async def reads(file: Upload):
    return [(await file.read_async()).decode()]


async def refuses():
    raise HttpError(409, "not now")


async def raises():
    raise TimeoutError("of something else")


async def leaves():
    raise SystemExit(3)


async def waits_for_what_is_cancelled():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


FUNCTIONS = [
    job_function(each)
    for each in (
        adds,
        waits,
        steps,
        ignores,
        ignores_once,
        reads,
        refuses,
        raises,
        leaves,
        waits_for_what_is_cancelled,
    )
]


@pytest.fixture
def functions(monkeypatch):
    named = {each.name: each for each in FUNCTIONS}
    monkeypatch.setattr(attempts, "FUNCTIONS", named)
    return named


def run(functions, test):
    """Run `test(runner)` on a loop, and close the runner from another thread."""

    async def main():
        runner = TaskRunner(functions)
        try:
            return await test(runner)
        finally:
            await asyncio.to_thread(runner.close, 20)

    return asyncio.run(main())


def end_of(functions, function, **values):
    async def test(runner):
        return await asyncio.to_thread(started(runner, function, **values).wait)

    return run(functions, test)


def test_a_result_is_json(functions):
    assert end_of(functions, adds, a=1, b=2).value == b"3"


def test_uploads_are_arguments(functions, tmp_path):
    (tmp_path / "1").write_text("content")
    file = FileArgument(str(tmp_path / "1"), "a.txt", "text/plain")

    assert end_of(functions, reads, kept={"file": file}).value == b'["content"]'


def test_an_http_error_is_for_the_client(functions):
    assert end_of(functions, refuses).failure.status == 409


@pytest.mark.parametrize("function", [raises, leaves, waits_for_what_is_cancelled])
def test_what_a_function_raises_is_for_the_log(functions, function):
    end = end_of(functions, function, timeout_s=60)

    assert (end.state, end.failure.status) == (FAILED, 500)
    assert f"in {function.__name__}" in end.report


@pytest.mark.parametrize("function", [waits, steps])
def test_cancel_ends_it_where_it_waits(functions, function):
    async def test(runner):
        heard = started(runner, function)
        await asyncio.to_thread(heard.wait_told)
        await asyncio.to_thread(heard.running.cancel)
        return await asyncio.to_thread(heard.wait)

    assert run(functions, test).state == CANCELLED


def test_cancelled_before_it_has_begun(functions):
    async def test(runner):
        heard = started(runner, waits)
        heard.running.cancel()
        return await asyncio.to_thread(heard.wait)

    assert run(functions, test).state == CANCELLED


def test_a_result_in_spite_of_a_cancel_is_a_result(functions):
    async def test(runner):
        heard = started(runner, ignores_once)
        await asyncio.to_thread(heard.wait_told)
        heard.running.cancel()
        return await asyncio.to_thread(heard.wait)

    assert run(functions, test).state == DONE


@pytest.mark.parametrize("function", [waits, ignores_once])
def test_a_timeout(functions, function):
    end = end_of(functions, function, timeout_s=0.01)

    assert (end.failure.status, end.may_retry) == (504, True)


@pytest.mark.parametrize("function", [waits, steps])
def test_close_interrupts_what_runs(functions, function):
    async def test(runner):
        heard = started(runner, function)
        await asyncio.to_thread(heard.wait_told)
        return heard, runner

    heard, runner = run(functions, test)

    assert heard.wait().failure == INTERRUPTED
    late = started(runner, adds, a=1, b=2)
    assert late.wait().failure == INTERRUPTED


def test_close_gives_up_on_what_does_not_end(functions):
    async def main():
        runner = TaskRunner(functions)
        heard = started(runner, ignores)
        await asyncio.to_thread(heard.wait_told)
        await asyncio.to_thread(runner.close, 0.01)
        return heard

    loop = asyncio.new_event_loop()
    heard = loop.run_until_complete(main())

    assert heard.wait().failure == INTERRUPTED
    [task] = asyncio.all_tasks(loop)
    task.get_coro().close()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_the_end_of_the_loop_interrupts(functions):
    async def main():
        heard = started(TaskRunner(functions), waits)
        await asyncio.to_thread(heard.wait_told)
        return heard

    assert asyncio.run(main()).wait().failure == INTERRUPTED
