"""What becomes of an error in a handler: one place decides.

An author's error handler for it, if there is one; otherwise the problem
document or page of its status.  What is no `HttpError` is logged and answered
by a 500 that tells nothing.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final

from tarry.app.errors import HttpError
from tarry.app.params import describe_function
from tarry.exchange import BodyTooLarge
from tarry.message.codings import ExpansionTooLarge, MalformedCoding, UnknownCoding, supported
from tarry.message.cookies import CookiesTooLarge
from tarry.message.forms import FormError
from tarry.message.target import InvalidTarget, TooManyFields

ErrorKey = int | str | type[BaseException] | None
"""A status, a class of statuses such as `"4xx"`, a type of exception, or `None` for all."""


class ErrorHandlers:
    """An author's error handlers; the most specific one is asked.

    A type of exception comes before a status, a status before its class, and
    that before the handler for everything.
    """

    def __init__(self) -> None:
        self._by_type: dict[type[BaseException], Callable[..., Any]] = {}
        self._by_status: dict[int | str | None, Callable[..., Any]] = {}

    def add(self, key: ErrorKey, function: Callable[..., Any]) -> None:
        """Register a handler.

        Raises:
            ValueError: the key is none that an error can have, or is taken; the
                function needs what an error handler cannot have.
        """
        table: dict[Any, Callable[..., Any]] = self._by_status
        if isinstance(key, type):
            table = self._by_type
        elif key is not None and key not in ("4xx", "5xx") and not _is_error_status(key):
            raise ValueError(f'an error handler is for 400 to 599, "4xx" or "5xx", not {key!r}')
        if key in table:
            raise ValueError(f"there is an error handler for {key!r} already")
        _check_parameters(function)
        table[key] = function

    def expects(self, error: BaseException) -> bool:
        """Whether the author has a handler for this very kind of exception."""
        return any(kind in self._by_type for kind in type(error).__mro__)

    def find(self, error: BaseException, status: int) -> Callable[..., Any] | None:
        """The handler for an error that would be answered with `status`."""
        for kind in type(error).__mro__:
            if kind in self._by_type:
                return self._by_type[kind]
        for key in (status, f"{status // 100}xx", None):
            if key in self._by_status:
                return self._by_status[key]
        return None


ARGUMENTS: Final = ("error", "status", "detail", "request")
"""What an error handler can take, by these names."""


def _check_parameters(function: Callable[..., Any]) -> None:
    for parameter in inspect.signature(function).parameters.values():
        by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if parameter.default is not parameter.empty or parameter.kind in _VARIADIC:
            continue
        if not by_name or parameter.name not in ARGUMENTS:
            raise ValueError(
                f"an error handler takes {', '.join(ARGUMENTS)} by these names, not "
                f'"{parameter.name}" [{describe_function(function)}]'
            )


_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _is_error_status(key: object) -> bool:
    return isinstance(key, int) and 400 <= key <= 599


_FAULTS_OF_THE_CLIENT: Final[dict[type[BaseException], tuple[int, str]]] = {
    TooManyFields: (400, "the query has too many parameters"),
    InvalidTarget: (400, "the URL does not decode"),
    CookiesTooLarge: (431, "the cookies are too large"),
    BodyTooLarge: (413, ""),
    ExpansionTooLarge: (413, ""),
    MalformedCoding: (400, ""),
}
"""What reading a request may raise within a handler; without a text it is that of the error."""


def as_http_error(error: BaseException) -> HttpError:
    """What the client may know of an error."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, FormError):
        return HttpError(error.status, str(error))
    if isinstance(error, UnknownCoding):
        # RFC 9110 section 12.5.3: Accept-Encoding says what would have been taken.
        headers = [(b"accept-encoding", supported().encode())]
        return HttpError(415, str(error), headers=headers)
    for kind, (status, detail) in _FAULTS_OF_THE_CLIENT.items():
        if isinstance(error, kind):
            return HttpError(status, detail or str(error))
    return HttpError(500)
