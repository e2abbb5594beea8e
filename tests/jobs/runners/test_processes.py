"""Jobs in processes: killed when they are cancelled, and dying alone when they crash."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tarry.jobs.attempts import Attempt
from tarry.jobs.callables import JobFunction
from tarry.jobs.orders import FileArgument, FilesArgument, Order
from tarry.jobs.runners import child
from tarry.jobs.runners.processes import ProcessRunner
from tarry.waiting.records import (
    ANSWER,
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    KeptAnswer,
    KeptFile,
    decode_answer,
)
from tests.jobs import work
from tests.jobs.runners.attempts import FUNCTIONS, Heard, attempt, closing, ended, started

GONE_S = 1.0
"""How soon a process is to be gone."""


@pytest.fixture(scope="module")
def runner():
    with closing(ProcessRunner(FUNCTIONS, max_workers=2)) as runner:
        yield runner


@pytest.fixture
def fresh_runner():
    """One that a test may break, with one process."""
    with closing(ProcessRunner(FUNCTIONS, max_workers=1)) as runner:
        yield runner


def exists(pid):
    """Whether a process runs; one that is dead but not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_in_time(*pids):
    end_s = time.monotonic() + GONE_S
    while any(map(exists, pids)) and time.monotonic() < end_s:
        os.sched_yield()
    return not any(map(exists, pids))


def both_pids(heard):
    """Those of a job that runs `work.pids`, and of the program that it has started."""
    heard.wait_told()
    return [int(pid) for pid in heard.lines[0].split()]


def pid_of_worker(runner):
    return int(ended(runner, work.where).value.split(b":")[1].split(b",")[0])


# ---- results -------------------------------------------------------------------------


def test_a_result_is_json(runner):
    assert ended(runner, work.add, a=1, b=2).value == b'{"sum":3}'
    assert ended(runner, work.nothing).value == b"null"
    assert ended(runner, work.length, data=b"\x00\xff").value == b"2"


def test_it_runs_in_the_main_thread_of_another_process(runner):
    where = ended(runner, work.where).value

    assert str(os.getpid()).encode() not in where
    assert b"MainThread" in where


@pytest.mark.parametrize(
    ("function", "status", "body"),
    [(work.text, 200, b"a text"), (work.raw, 200, b"\x00\xff"), (work.created, 201, None)],
)
def test_other_results_are_kept_as_answers(runner, function, status, body):
    end = ended(runner, function)
    answer = decode_answer(end.value)

    assert end.kind == ANSWER
    assert isinstance(answer, KeptAnswer)
    assert answer.status == status
    assert body in (None, answer.body)


def test_a_path_is_kept_as_a_file(runner, tmp_path):
    end = ended(runner, work.written, tmp_path / "job")
    answer = decode_answer(end.value)

    assert isinstance(answer, KeptFile)
    assert answer.path == str(tmp_path / "job" / "result.txt")
    assert Path(answer.path).read_text() == "of job-1, attempt 1"


def test_a_relative_path_is_meant_from_where_the_job_was(fresh_runner, tmp_path):
    answer = decode_answer(ended(fresh_runner, work.written_elsewhere, tmp_path / "job").value)

    assert answer.path == str(tmp_path / "job" / "result.txt")
    assert answer.download == "there.txt"


@pytest.mark.parametrize("function", [work.yields, work.unencodable])
def test_what_is_no_result_fails(runner, function):
    end = ended(runner, function)

    assert (end.state, end.failure.status) == (FAILED, 500)
    assert "ResultError" in end.report


def test_uploads_are_arguments(runner, tmp_path):
    (tmp_path / "1").write_text("first")
    (tmp_path / "2").write_text("second")
    first = FileArgument(str(tmp_path / "1"), "a.txt", "text/plain")
    second = FileArgument(str(tmp_path / "2"), "b.txt", "text/plain")

    end = ended(runner, work.read_upload, kept={"file": first})
    both = ended(runner, work.read_uploads, kept={"files": FilesArgument((first, second))})

    assert end.value == b'{"name":"a.txt","type":"text/plain","text":"first"}'
    assert both.value == b'["first","second"]'


def test_a_large_result_arrives_and_one_that_is_too_large_says_so(runner):
    size_bytes = child.MAX_RESULT_BYTES // 8
    answer = decode_answer(ended(runner, work.returns, size_bytes=size_bytes).value)
    too_large = ended(runner, work.returns, size_bytes=child.MAX_RESULT_BYTES)

    assert len(answer.body) == size_bytes
    assert too_large.state == FAILED
    assert "return its path" in too_large.report
    assert ended(runner, work.nothing).state == DONE


# ---- errors --------------------------------------------------------------------------


@pytest.mark.parametrize("function", [work.raises, work.leaves])
def test_what_a_function_raises_is_for_the_log(runner, function):
    end = ended(runner, function)

    assert (end.state, end.failure.status, end.may_retry) == (FAILED, 500, True)
    assert f"in {function.__name__}" in end.report


def test_an_http_error_is_for_the_client(runner):
    end = ended(runner, work.refuses)

    assert (end.failure.status, end.failure.detail) == (409, "not now ?")
    assert not end.may_retry


def test_a_module_that_cannot_be_imported_there(tmp_path):
    name = "gone_module_of_a_test:render"
    functions = {name: JobFunction(name, work.nothing, {}, None)}
    with closing(ProcessRunner(functions, max_workers=1)) as runner:
        heard = Heard()
        runner.start(Attempt("job-1", 1, Order(name, {}), tmp_path, None), heard)

        assert "No module named 'gone_module_of_a_test'" in heard.wait().report


def test_a_job_that_is_not_of_the_application(runner):
    heard = Heard()
    runner.start(attempt(work.nothing)._replace(order=Order("os:abort", {})), heard)

    assert "no job os:abort in this application" in heard.wait().report


def test_what_cannot_be_sent_to_a_process_fails_alone(fresh_runner):
    end = ended(fresh_runner, work.nothing, Path("/\udcff"))

    assert "UnicodeEncodeError" in end.report
    assert ended(fresh_runner, work.nothing).state == DONE


def test_there_is_at_least_one_process():
    with pytest.raises(ValueError, match="at least one"):
        ProcessRunner(FUNCTIONS, max_workers=0)


# ---- what is told --------------------------------------------------------------------


def test_all_lines_arrive_in_order_before_the_end(runner):
    heard = started(runner, work.lines, count=1000)

    assert heard.wait().state == DONE
    assert heard.lines == [f"line {number}" for number in range(1000)]


def test_of_much_progress_the_first_and_the_newest_arrive(runner):
    heard = started(runner, work.steps, count=10_000)

    assert heard.wait().state == DONE
    assert heard.steps[0] == 0
    assert heard.steps[-1] == 9999
    assert heard.steps == sorted(heard.steps)
    assert len(heard.steps) < 1000


def test_progress_stays_in_order_with_lines(runner):
    heard = started(runner, work.mixed, count=50)

    assert heard.wait().state == DONE
    assert heard.steps == list(range(50))
    assert heard.lines == [str(number) for number in range(50)]


def test_the_newest_progress_arrives_although_the_job_tells_no_more(runner, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    heard = started(runner, work.late, fifo=str(fifo))

    heard.wait_told(2)
    with fifo.open("wb"):
        """Lets the job end."""

    assert heard.wait().state == DONE
    assert heard.steps == [1, 2]


def test_what_a_job_tells_after_its_end_is_dropped(fresh_runner):
    ended(fresh_runner, work.told_later)
    heard = started(fresh_runner, work.tells_with_kept)

    assert heard.wait().state == DONE
    assert heard.lines == ["in time"]


# ---- killed --------------------------------------------------------------------------


def test_cancel_kills_the_process_and_what_it_has_started(fresh_runner):
    heard = started(fresh_runner, work.pids)
    pids = both_pids(heard)
    assert all(map(exists, pids))

    heard.running.cancel()

    assert gone_in_time(*pids)
    assert heard.wait().state == CANCELLED
    assert ended(fresh_runner, work.nothing).state == DONE


def test_cancelled_while_the_process_starts(fresh_runner):
    heard = started(fresh_runner, work.pids)

    heard.running.cancel()
    heard.running.cancel()

    assert heard.wait().state == CANCELLED
    assert ended(fresh_runner, work.nothing).state == DONE


def test_cancelled_while_it_waits_for_a_process(fresh_runner):
    first = started(fresh_runner, work.until_cancelled)
    second = started(fresh_runner, work.nothing)
    first.wait_told()

    second.running.cancel()

    assert second.wait().state == CANCELLED
    first.running.cancel()
    assert first.wait().state == CANCELLED


def test_a_cancel_after_the_end_harms_nobody(fresh_runner):
    heard = started(fresh_runner, work.nothing)
    heard.wait()
    pid = pid_of_worker(fresh_runner)

    heard.running.cancel()

    assert pid_of_worker(fresh_runner) == pid


def test_a_timeout_kills_the_process(fresh_runner):
    ended(fresh_runner, work.nothing)
    heard = started(fresh_runner, work.pids, timeout_s=1)
    pids = both_pids(heard)

    end = heard.wait()

    assert (end.failure.status, end.may_retry) == (504, True)
    assert gone_in_time(*pids)
    assert ended(fresh_runner, work.nothing).state == DONE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_job_that_is_ended_by_a_signal(fresh_runner, number):
    heard = started(fresh_runner, work.ended_by, number=number)

    end = heard.wait()

    assert end.failure.detail == f"the process of this job was ended by {number.name}"
    assert (end.state, end.may_retry) == (FAILED, True)
    assert heard.lines == ["a last word"]
    assert ended(fresh_runner, work.nothing).state == DONE


def test_every_exit_is_reported_however_busy_this_process_is(runner):
    """Also that of a process which ends as soon as it has begun."""
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(100))

    busy = threading.Thread(target=compute)
    busy.start()
    try:
        ends = [ended(runner, work.exits, status=7) for _ in range(20)]
    finally:
        stop.set()
        busy.join()

    text = "the process of this job exited with status 7"
    assert [end.failure.detail for end in ends] == [text] * 20


def test_a_job_that_leaves_a_process_behind(fresh_runner):
    """It has all that its parent had, so that nothing is closed when that ends."""
    end = ended(fresh_runner, work.forks_and_exits)

    assert end.failure.detail == "the process of this job exited with status 7"


def test_a_process_that_is_killed_while_it_has_nothing_to_do(fresh_runner):
    """No attempt is lost to it, although the process may be about to end for a while."""
    for _ in range(20):
        pid = pid_of_worker(fresh_runner)
        os.kill(pid, signal.SIGKILL)

        assert pid_of_worker(fresh_runner) != pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_for_the_whole_group_are_left_to_the_server(fresh_runner, number):
    pid = pid_of_worker(fresh_runner)

    os.kill(pid, number)

    assert pid_of_worker(fresh_runner) == pid


def test_a_job_may_start_processes_itself(runner):
    assert ended(runner, work.uses_processes).value == b"[1,2]"


# ---- the end -------------------------------------------------------------------------


def test_close_interrupts_all_and_leaves_no_process_and_no_thread():
    before = set(threading.enumerate())
    runner = ProcessRunner(FUNCTIONS, max_workers=2)
    running = [started(runner, work.pids) for _ in range(2)]
    waiting = started(runner, work.nothing)
    pids = [pid for heard in running for pid in both_pids(heard)]

    runner.close(20)

    for heard in (*running, waiting):
        assert heard.wait().failure == INTERRUPTED
        assert heard.wait().may_retry
    assert gone_in_time(*pids)
    assert set(threading.enumerate()) <= before
    assert ended(runner, work.nothing).failure == INTERRUPTED


def test_close_without_any_process():
    ProcessRunner(FUNCTIONS, max_workers=2).close(1)
