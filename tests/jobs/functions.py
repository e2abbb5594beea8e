"""Jobs of tests, where runners find them; a scripted one never calls them."""

from tarry.jobs.job import Job


def work(number: int = 0) -> int:
    return number


def other(number: int = 0) -> int:
    return number


def replacing(number: int = 0) -> int:
    return number


def joining(number: int = 0) -> int:
    return number


def queueing(number: int = 0) -> int:
    return number


def single(number: int = 0) -> int:
    return number


def three(first: int, job: Job, second: str = "x", third: int = 3) -> str:
    return f"{first}{second}{third}"


def anything() -> object:
    return None


async def on_the_loop() -> None:
    """Runs in the lane of tasks."""


def heavy() -> None:
    """Runs in a process."""
