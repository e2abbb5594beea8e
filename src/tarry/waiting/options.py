"""What can be said about a wait; the names are the same everywhere."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypedDict, Unpack, get_args

from tarry.timing import Duration, seconds

EPHEMERAL_TIMEOUT_S: Final = 60.0
DURABLE_TIMEOUT_S: Final = 24 * 3600.0
HOLD_S: Final = 25.0
"""Below the 30 s after which the most impatient proxies give up."""

KEEP_S: Final = 3600.0
EPHEMERAL_KEEP_S: Final = 60.0

Abandon = Literal["keep", "cancel"] | float
Drain = Literal["ticket", "finish", "close"]


class _NoDefault:
    """Stands for a default that was not given, since `None` is a good one."""

    def __repr__(self) -> str:
        return "no default"


NO_DEFAULT: Final = _NoDefault()


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """How long a wait may take and what happens when nobody waits any more.

    `timeout_s` is how long the value may take, `hold_s` the longest silence of
    one connection, `keep_s` how long a settled wait can be read, all in
    seconds.  `abandon` is what happens when the last client has left: the wait
    goes on, is cancelled, or is cancelled after so many seconds.  `default` is
    the value at the time-out.  `on_drain` is what clients get when the server
    stops.
    """

    timeout_s: float = EPHEMERAL_TIMEOUT_S
    hold_s: float = HOLD_S
    keep_s: float = EPHEMERAL_KEEP_S
    abandon: Abandon = "cancel"
    default: Any = NO_DEFAULT
    durable: bool = False
    on_drain: Drain = "ticket"
    owner: str | None = None
    then: Callable[..., Any] | None = None
    key: str | None = None


EPHEMERAL: Final = WaitOptions()
DURABLE: Final = WaitOptions(
    timeout_s=DURABLE_TIMEOUT_S, keep_s=KEEP_S, abandon="keep", durable=True
)


class ParkKeywords(TypedDict, total=False):
    """The options as an author gives them; durations as in `timing.seconds`."""

    timeout: Duration
    hold: Duration
    keep: Duration
    abandon: Literal["keep", "cancel"] | Duration
    default: Any
    durable: bool
    on_drain: Drain
    owner: str
    then: Callable[..., Any]
    key: str


_DURATIONS: Final = ("timeout", "hold", "keep")


def wait_options(**given: Unpack[ParkKeywords]) -> WaitOptions:
    """Options as an author gives them; what is not given depends on `durable`.

    Raises:
        ValueError: no duration, or a word that is not among those that can be.
        TypeError: there is no such option.
    """
    if not given:
        return EPHEMERAL
    if given.keys().isdisjoint(_OF_ONE_WAIT):
        # A handler parks with the same options each time: they are one object for all its waits.
        return _shared_options(**given)
    return _options(given)


_OF_ONE_WAIT: Final = {"default", "key", "owner"}


def _options(given: Mapping[str, Any]) -> WaitOptions:
    changes = dict(given)
    for name in _DURATIONS:
        if name in changes:
            changes[name + "_s"] = seconds(changes.pop(name))
    if changes.get("on_drain", "ticket") not in get_args(Drain):
        raise ValueError(f'on_drain is "ticket", "finish" or "close", not {given["on_drain"]!r}')
    if changes.get("abandon", "keep") not in ("keep", "cancel"):
        changes["abandon"] = seconds(changes["abandon"])
    return replace(DURABLE if changes.get("durable") else EPHEMERAL, **changes)


@functools.lru_cache(maxsize=1000, typed=True)
def _shared_options(**given: Any) -> WaitOptions:
    return _options(given)
