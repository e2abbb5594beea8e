"""Rules for the whole test run: asserts always count, and in CI nothing is skipped."""

from __future__ import annotations

import os
from collections.abc import Generator

import hypothesis
import pytest

# Before any helper is imported: rewritten asserts also fail under `python -O`, plain ones do not.
pytest.register_assert_rewrite("tests")

# A busy machine is no bug; a hang is what faulthandler_timeout is for.
hypothesis.settings.register_profile("tarry", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tarry")


def pytest_sessionstart() -> None:
    try:
        assert not os.sep
    except AssertionError:
        return
    raise pytest.UsageError("asserts do nothing in this run: let pytest rewrite them")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_if_skipped((yield))


def _failed_if_skipped(report):
    """Turn a skip into a failure when CI=true; an expected failure (xfail) did run and may stay."""
    ran = getattr(report, "wasxfail", None) is not None and "[NOTRUN]" not in report.wasxfail
    if os.environ.get("CI") == "true" and report.skipped and not ran:
        report.longrepr = f"skipped, which counts as failed when CI=true: {report.longrepr}"
        report.outcome = "failed"
    return report
