"""The addresses of waits, all below the internal prefix; they are routes like an author's."""

from collections.abc import Callable
from typing import Any, Final

from tarry.app.dispatch import Dispatcher
from tarry.app.route_options import Registration, RegistrationError, RouteOptions
from tarry.waiting.ticket_routes import TicketRoutes
from tarry.waiting.wake_routes import MAX_VALUE_BYTES, WakeRoutes

_UNFIT: Final = frozenset("{}*?#%\\ ")


def checked_prefix(prefix: str) -> str:
    """The internal prefix of an application, such as `/-`.

    Raises:
        ValueError: it is no path that can stand before others.
    """
    if prefix[:1] != "/" or prefix.endswith("/") or "//" in prefix or _UNFIT & {*prefix}:
        raise ValueError(f'internal={prefix!r} is no prefix: write a path such as "/-"')
    return prefix


def is_below(path: str | None, prefix: str) -> bool:
    """Whether a path belongs to the internal ones."""
    path = "" if path is None else "/" + path.removeprefix("/")
    return path == prefix or path.startswith(prefix + "/")


def check_path(path: str | None, prefix: str) -> None:
    """Refuse an author's route among the internal ones.

    Raises:
        RegistrationError: the path is below the prefix.
    """
    if is_below(path, prefix):
        raise RegistrationError(
            f"{path!r} is below {prefix!r}, where Tarry has its own addresses;"
            " choose another path, or another prefix by App(internal=...)"
        )


def register(dispatcher: Dispatcher, prefix: str, tickets: TicketRoutes, wakes: WakeRoutes) -> None:
    """Add the addresses to those of an application."""
    rows: tuple[tuple[str, str, Callable[..., Any], int | None], ...] = (
        ("GET", "/t/{ticket}", tickets.show, None),
        ("DELETE", "/t/{ticket}", tickets.cancel, None),
        ("GET", "/t/{ticket}/result", tickets.result, None),
        ("POST", "/t/{ticket}/cancel", tickets.cancel_by_form, None),
        ("GET", "/events", tickets.follow, None),
        ("GET", "/w/{token}", wakes.ask, None),
        ("POST", "/w/{token}", wakes.wake, MAX_VALUE_BYTES),
    )
    for method, path, function, max_body_bytes in rows:
        options = RouteOptions(methods=(method,), max_body_bytes=max_body_bytes)
        name = getattr(function, "__qualname__", "")
        dispatcher.add(Registration(prefix + path, None, function, options, name))
