"""What a job tells, whatever it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarry.jobs.job import MAX_LOG_CHARACTERS, Job, JobCancelled, Told
from tarry.waiting.records import Progress, encode


class OtherNumber(float):
    """As those of NumPy: a number that msgspec does not take for one."""


@pytest.fixture
def told():
    return []


@pytest.fixture
def job(told, tmp_path):
    return Job("job-1", 1, tmp_path / "job", told.append, lambda: False)


def test_progress_has_plain_numbers_and_text(job, told):
    job.progress(OtherNumber(1), 2, "file \udcff of ü")

    assert told == [Told(Progress(1, 2, "file ? of ü"))]
    assert encode(told)


def test_a_line_is_cut_and_can_be_encoded(job, told):
    job.log("\udcff" + "x" * MAX_LOG_CHARACTERS)

    assert told == [Told(line="?" + "x" * (MAX_LOG_CHARACTERS - 1))]


def test_the_folder_is_made_when_it_is_asked_for(job, tmp_path):
    assert not list(tmp_path.iterdir())
    assert job.folder == tmp_path / "job"
    assert job.folder.is_dir()


@pytest.mark.parametrize(
    "use", [Job.check, lambda job: job.progress(1), lambda job: job.log("text")]
)
def test_a_cancelled_job_ends_where_it_tells_something(use, told):
    job = Job("job-1", 1, Path("/nowhere"), told.append, lambda: True)

    with pytest.raises(JobCancelled):
        use(job)

    assert job.cancelled
    assert told == []


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_progress_may_be_of_any_size(job, told, number):
    job.progress(number, number)

    assert told == [Told(Progress(float(number), float(number), ""))]
    assert encode(told)
