"""A registered job: its function, its options, and the group in which it waits for its turn."""

import functools
import inspect
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

from tarry.app.params import describe_function
from tarry.app.route_options import RegistrationError
from tarry.jobs.callables import JobFunction
from tarry.jobs.options import JobOptions, OfArguments
from tarry.jobs.orders import UPLOADS, Argument, argument

Lane = Literal["processes", "threads", "tasks"]

DEFAULT_LIMITS: Final[Mapping[Lane, int]] = {
    "processes": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
    "threads": 40,
    "tasks": 100,
}
"""How many jobs run at once, on all processes that share a store, where nothing else is said."""

DEFAULT_MAX_QUEUED: Final = 1000
"""Jobs of one group that wait for their turn; beyond it the answer is 503."""


class Group:
    """Jobs of which not more than `limit` run at once."""

    __slots__ = ("jobs", "limit", "max_queued", "name")

    def __init__(self, name: str, limit: int | None, max_queued: int) -> None:
        self.name = name
        self.limit = limit
        self.max_queued = max_queued
        self.jobs: dict[str, JobSpec] = {}


class JobSpec:
    """One registered job; `returns` is the type that its function is annotated with, or `Any`."""

    __slots__ = ("_signature", "called", "group", "lane", "options", "returns")

    def __init__(self, called: JobFunction, options: JobOptions, group: Group) -> None:
        self.called = called
        self.options = options
        self.group = group
        self.lane = lane_of_job(called, options)
        self._signature = _without(inspect.signature(called.function), called.job_argument)
        self.returns = _returned(called.function)
        _check_functions(called, options)

    @property
    def name(self) -> str:
        """Under which it is found again: `module:function`."""
        return self.called.name

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, in their order, with defaults.

        Raises:
            TypeError: the function takes others.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def kept(self, name: str, value: Any) -> Argument:
        """An argument as it is kept; raises what `orders.argument` does."""
        return argument(self.called.annotations[name], value)

    def key_of(self, arguments: Mapping[str, Any]) -> Any:
        """What the result depends on."""
        key = self.options.key
        return dict(arguments) if key is True or key is None else call_with(key, arguments)

    def slot_of(self, arguments: Mapping[str, Any]) -> str | None:
        """The slot of a job with these arguments; `None` if it has none."""
        slot = self.options.slot
        if callable(slot):
            slot = call_with(slot, arguments)
        return None if slot is None else str(slot)


def _check_functions(called: JobFunction, options: JobOptions) -> None:
    """Look at `key` and `slot` now; else each order would fail at what is the author's fault."""
    uploads = [name for name, kind in called.annotations.items() if kind in UPLOADS]
    if options.key is True and uploads:
        raise RegistrationError(
            f"key=True compares arguments as JSON, which the upload {uploads[0]!r} is not;"
            " give a function of the arguments"
        )
    for name, function in (("key", options.key), ("slot", options.slot)):
        if callable(function) and not _may_take(function, len(called.annotations)):
            raise RegistrationError(
                f"{name} is a function of the job's arguments, in their order, but without"
                f" the Job; {describe_function(function)} needs others"
            )


def _may_take(function: OfArguments, count: int) -> bool:
    """Whether a function can be called with so many arguments, or fewer."""
    try:
        takes = _takes(function)
        given = count if takes is None else min(count, takes)
        inspect.signature(function).bind(*[None] * given)
    except (TypeError, ValueError):  # it takes others, or is built in and does not say what
        return False
    return True


def _without(signature: inspect.Signature, name: str | None) -> inspect.Signature:
    parameters = [each for each in signature.parameters.values() if each.name != name]
    return signature.replace(parameters=parameters)


def _returned(function: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError):  # a name for type checkers only
        return Any


def lane_of_job(called: JobFunction, options: JobOptions) -> Lane:
    """Where a job runs.

    Raises:
        RegistrationError: an `async def` for a process.
    """
    if called.is_async:
        if options.cpu:
            raise RegistrationError("an async def runs on the loop; with cpu=True it has to be def")
        return "tasks"
    return "processes" if options.cpu else "threads"


def call_with(function: OfArguments, arguments: Mapping[str, Any]) -> Any:
    """Call a function with the arguments of a job, in order, as many as it takes."""
    return function(*list(arguments.values())[: _takes(function)])


@functools.cache
def _takes(function: OfArguments) -> int | None:
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return sum(
        each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters
    )


class Groups:
    """The groups of one application, by name.

    Raises:
        ValueError: `max_queued` is no whole number from 1 on.
    """

    def __init__(self, max_queued: int = DEFAULT_MAX_QUEUED) -> None:
        if type(max_queued) is not int or max_queued < 1:
            raise ValueError(f"max_queued_jobs is a whole number from 1 on, not {max_queued!r}")
        self._max_queued = max_queued
        self._groups: dict[str, Group] = {}
        self._specs: dict[str, JobSpec] = {}
        self._functions: dict[str, JobFunction] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def spec(self, name: str) -> JobSpec | None:
        """The job of a name."""
        return self._specs.get(name)

    @property
    def functions(self) -> Mapping[str, JobFunction]:
        """The functions of all jobs by their names, those that are still to come included."""
        return self._functions

    def add(self, called: JobFunction, options: JobOptions) -> JobSpec:
        """Register a job.

        Raises:
            RegistrationError: it is there with other options, or its group has another limit.
        """
        there = self._specs.get(called.name)
        if there is not None:
            if there.options != options or there.called.function is not called.function:
                raise RegistrationError(f"there is a job {called.name} with other options already")
            return there
        lane = lane_of_job(called, options)
        spec = JobSpec(called, options, self._group(lane, called.name, options))
        spec.group.jobs[called.name] = self._specs[called.name] = spec
        self._functions[called.name] = called
        return spec

    def _group(self, lane: Lane, name: str, options: JobOptions) -> Group:
        if options.group is None and options.limit is None:
            return self._named(lane, DEFAULT_LIMITS[lane])
        return self._named(options.group or name, options.limit)

    def _named(self, name: str, limit: int | None) -> Group:
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(name, limit, self._max_queued)
        elif limit is not None:
            if group.limit not in (None, limit):
                raise RegistrationError(
                    f"the group {name!r} has limit={group.limit} already, not {limit}"
                )
            group.limit = limit
        return group

    def of_function(self, function: Callable[..., Any]) -> JobSpec:
        """The job of a function.

        Raises:
            LookupError: it is none.
        """
        for spec in self._specs.values():
            if spec.called.function is function:
                return spec
        raise LookupError(
            f"{describe_function(function)} is no job of this application: register it with"
            " @app.job(), with a path or without one"
        )

    def check(self) -> None:
        """Look whether all that belongs together is there, when the application starts.

        Raises:
            RegistrationError: a group without a limit, or a function that is not found again.
        """
        for spec in self._specs.values():
            if spec.lane == "processes":
                spec.called.check_found()
        for group in self:
            if group.limit is None:
                raise RegistrationError(
                    f"nobody says how many of the group {group.name!r} may run at once:"
                    " give one of its jobs a limit"
                )
