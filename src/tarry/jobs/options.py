"""What can be said about a job when it is registered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, Unpack, get_args

from tarry.app.route_options import RegistrationError
from tarry.jobs.entering import Replace
from tarry.timing import Duration, seconds
from tarry.waiting.options import DURABLE, WaitOptions, wait_options

OfArguments = Callable[..., Any]
"""A function of the job's arguments, in their order; it may take fewer of them."""


class JobKeywords(TypedDict, total=False):
    """The options as an author gives them; see `JobOptions`."""

    cpu: bool
    group: str
    limit: int
    key: OfArguments | Literal[True]
    slot: str | OfArguments
    replace: Replace
    retries: int
    timeout: Duration
    keep: Duration
    hold: Duration
    abandon: Literal["keep", "cancel"] | Duration


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a job runs.

    With `cpu` in a process of its own, else in a thread, or on the loop if it
    is an `async def`.  Of a `group` not more than `limit` run at once, on all
    processes that share the store.  `key` is what the result depends on: jobs
    with the same one are run once, and the result is cached for `keep`; with
    `True` it is all arguments.  Of those with the same `slot` one runs at a
    time, and `replace` says what a new one does to the others.  After a failure
    or an interruption there are up to `retries` attempts more, each of which
    may take `timeout_s`.  `wait` is how clients wait for it.
    """

    cpu: bool = False
    group: str | None = None
    limit: int | None = None
    key: OfArguments | Literal[True] | None = None
    slot: str | OfArguments | None = None
    replace: Replace = "cancel-old"
    retries: int = 0
    timeout_s: float | None = None
    wait: WaitOptions = DURABLE


MAX_RETRIES: Final = 1000
"""With pauses of a minute, more than half a day."""

_OF_WAITS: Final = {"keep", "hold", "abandon"}

LIFETIME_S: Final = 7 * 24 * 3600.0
"""How long a job may wait for its turn and run, in all, beside the time-outs of its attempts."""


def job_options(**given: Unpack[JobKeywords]) -> JobOptions:
    """Options as an author gives them.

    Raises:
        RegistrationError: one that there is not, or that cannot be.
    """
    known = JobKeywords.__annotations__
    for name in given:
        if name not in known:
            raise RegistrationError(f"a job has no option {name!r}; there are {', '.join(known)}")
    options: dict[str, Any] = {**given}
    _check_given(options)
    of_wait = {name: options.pop(name) for name in _OF_WAITS & options.keys()}
    try:
        timeout_s = seconds(options.pop("timeout")) if "timeout" in options else None
        lifetime_s = LIFETIME_S + (timeout_s or 0.0) * (1 + options.get("retries", 0))
        options["timeout_s"] = timeout_s
        options["wait"] = wait_options(durable=True, timeout=lifetime_s, **of_wait)
    except (TypeError, ValueError) as error:
        raise RegistrationError(str(error)) from error
    chosen = JobOptions(**options)
    _check(chosen)
    return chosen


def _check_given(given: Mapping[str, Any]) -> None:
    """Refuse what would show itself much later: when the first job is ordered, or waits."""
    for name in ("limit", "retries"):
        value = given.get(name, 1)
        if type(value) is not int and (name, value) != ("limit", None):
            raise RegistrationError(f"{name} is a whole number, not {value!r}")
    if not 0 <= given.get("retries", 0) <= MAX_RETRIES:
        raise RegistrationError(f"retries is 0 to {MAX_RETRIES}, not {given['retries']}")
    key, slot = given.get("key"), given.get("slot")
    if not (key is None or key is True or callable(key)):
        raise RegistrationError(f"key is True or a function of the arguments, not {key!r}")
    if not (slot is None or isinstance(slot, str) or callable(slot)):
        raise RegistrationError(f"slot is a name or a function of the arguments, not {slot!r}")


def _check(options: JobOptions) -> None:
    if options.limit is not None and options.limit < 1:
        raise RegistrationError(f"limit is 1 or more, not {options.limit}")
    if options.replace not in get_args(Replace):
        there = ", ".join(map(repr, get_args(Replace)))
        raise RegistrationError(f"replace is one of {there}, not {options.replace!r}")
    if options.timeout_s == 0:
        raise RegistrationError("timeout is more than 0, or left out")
    if options.replace != "cancel-old" and options.slot is None:
        raise RegistrationError(f"replace={options.replace!r} needs a slot")
