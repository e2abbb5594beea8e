"""Jobs in threads: cancelled where they tell how far they are."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tarry.jobs.orders import FileArgument, FilesArgument, Order
from tarry.jobs.runners.threads import ThreadRunner
from tarry.waiting.records import CANCELLED, DONE, FAILED, INTERRUPTED
from tests.jobs import work
from tests.jobs.runners.attempts import FUNCTIONS, Heard, attempt, closing, ended, started


@pytest.fixture
def runner():
    with closing(ThreadRunner(FUNCTIONS)) as runner:
        yield runner


def test_a_result_is_json(runner):
    assert ended(runner, work.add, a=1, b=2).value == b'{"sum":3}'
    assert ended(runner, work.add, a=1).value == b'{"sum":2}'
    assert ended(runner, work.nothing).value == b"null"


def test_progress_and_lines_come_in_order_before_the_end(runner):
    heard = started(runner, work.mixed, count=100)

    assert heard.wait().state == DONE
    assert heard.steps == list(range(100))
    assert heard.lines == [str(number) for number in range(100)]


def test_cancel_ends_it_where_it_tells_its_progress(runner):
    heard = started(runner, work.until_cancelled)
    heard.wait_told(10)

    heard.running.cancel()
    heard.running.cancel()

    assert heard.wait().state == CANCELLED


def test_a_timeout_is_reported_although_the_function_goes_on(runner, tmp_path):
    async def run():
        fifo = tmp_path / "fifo"
        work.os.mkfifo(fifo)
        heard = started(runner, work.late, timeout_s=0.01, fifo=str(fifo))
        end = await asyncio.to_thread(heard.wait)
        with fifo.open("wb"):
            """Lets the function end."""
        # Its thread is free again.
        assert (await asyncio.to_thread(ended, runner, work.nothing)).state == DONE
        return heard, end

    heard, end = asyncio.run(run())

    assert end.failure.status == 504
    assert "0.01 seconds" in end.failure.detail
    assert end.may_retry
    assert len(heard.ends) == 1


def test_what_ends_in_time_is_not_reported_as_late(runner):
    async def run():
        heard = started(runner, work.nothing, timeout_s=60)
        return await asyncio.to_thread(heard.wait)

    assert asyncio.run(run()).state == DONE


@pytest.mark.parametrize("function", [work.raises, work.leaves])
def test_what_a_function_raises_is_for_the_log(runner, function):
    end = ended(runner, function)

    assert (end.state, end.failure.status, end.may_retry) == (FAILED, 500, True)
    assert f"in {function.__name__}" in end.report


def test_an_http_error_is_for_the_client(runner):
    end = ended(runner, work.refuses)

    assert (end.failure.status, end.failure.detail) == (409, "not now ?")
    assert not end.may_retry


def test_uploads_are_arguments(runner, tmp_path):
    (tmp_path / "1").write_text("first")
    (tmp_path / "2").write_text("second")
    first = FileArgument(str(tmp_path / "1"), "a.txt", "text/plain")
    second = FileArgument(str(tmp_path / "2"), "b.txt", "text/plain")

    end = ended(runner, work.read_upload, kept={"file": first})
    both = ended(runner, work.read_uploads, kept={"files": FilesArgument((first, second))})

    assert end.value == b'{"name":"a.txt","type":"text/plain","text":"first"}'
    assert both.value == b'["first","second"]'


def test_an_upload_that_is_no_more(runner, tmp_path):
    gone = FileArgument(str(tmp_path / "1"), "a.txt", "text/plain")

    assert "FileNotFoundError" in ended(runner, work.read_upload, kept={"file": gone}).report


def test_an_argument_that_does_not_fit_any_more(runner):
    other = attempt(work.add, a=1).order.arguments["a"]

    end = ended(runner, work.same, kept={"text": other})

    assert "BadValue" in end.report


def test_as_many_run_as_are_started_and_threads_are_kept(runner):
    async def run():
        heard = [started(runner, work.until_cancelled) for _ in range(8)]
        for each in heard:
            await asyncio.to_thread(each.wait_told)
            each.running.cancel()
        for each in heard:
            await asyncio.to_thread(each.wait)

    before = set(threading.enumerate())
    asyncio.run(run())
    for _ in range(20):
        ended(runner, work.nothing)

    new = set(threading.enumerate()) - before
    assert [thread.name for thread in new] == ["tarry-job"] * 8


def test_a_job_that_is_not_of_the_application(runner):
    heard = Heard()
    runner.start(attempt(work.nothing)._replace(order=Order("os:abort", {})), heard)

    assert "no job os:abort in this application" in heard.wait().report


def test_close_ends_what_runs_as_interrupted_and_leaves_no_thread():
    runner = ThreadRunner(FUNCTIONS)
    heard = started(runner, work.until_cancelled)
    heard.wait_told()
    threads = [each for each in threading.enumerate() if each.name == "tarry-job"]

    runner.close(20)

    assert heard.wait().failure == INTERRUPTED
    assert heard.wait().may_retry
    assert not any(thread.is_alive() for thread in threads)
    assert ended(runner, work.nothing).failure == INTERRUPTED


def test_close_gives_up_on_what_does_not_end(tmp_path):
    fifo = tmp_path / "fifo"
    work.os.mkfifo(fifo)
    runner = ThreadRunner(FUNCTIONS)
    heard = started(runner, work.late, fifo=str(fifo))
    heard.wait_told(2)

    runner.close(0.01)

    assert heard.wait().failure == INTERRUPTED
    with fifo.open("wb"):
        """Lets its thread end."""


def test_who_cannot_be_told_does_not_stop_the_runner(runner, caplog):
    class Broken(Heard):
        def told(self, told):
            super().told(told)
            raise RuntimeError("nobody listens")

        def ended(self, ended):
            super().ended(ended)
            raise RuntimeError("nobody listens")

    heard = Broken()
    runner.start(attempt(work.lines, count=1), heard)

    assert heard.wait().state == DONE
    assert ended(runner, work.nothing).state == DONE
    assert "nobody listens" in caplog.text
