"""The runners of an application: one for each lane, made when it has something to run."""

from collections.abc import Callable, Mapping

from tarry.jobs.attempts import Runner
from tarry.jobs.runners.processes import ProcessRunner
from tarry.jobs.runners.tasks import TaskRunner
from tarry.jobs.runners.threads import ThreadRunner
from tarry.jobs.specs import Groups, Lane


def standard_runners(groups: Groups) -> Mapping[Lane, Callable[[], Runner]]:
    """What makes the runners of the jobs of an application."""

    def processes() -> Runner:
        # More than all groups may run at once are never needed.
        return ProcessRunner(groups.functions, sum(group.limit or 1 for group in groups))

    return {
        "processes": processes,
        "threads": lambda: ThreadRunner(groups.functions),
        "tasks": lambda: TaskRunner(groups.functions),
    }
