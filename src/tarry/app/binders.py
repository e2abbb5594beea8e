"""Binders: what makes arguments of a type, whatever their name."""

from collections.abc import Callable
from typing import Any

from tarry.app.lanes import Lanes
from tarry.app.params import Argument, Cookies
from tarry.app.places import read_cookies
from tarry.app.request import Request, request_of
from tarry.app.responses import Response
from tarry.app.websockets import WebSocket
from tarry.exchange import Exchange
from tarry.message.headers import Headers


class BinderContext:
    """What the provider of a type may want to know: which argument it is for.

    A function registered by `app.binder` gets it for an argument that is
    annotated with this type.
    """

    __slots__ = ("_path_names", "_path_values", "argument")

    def __init__(
        self, argument: Argument, path_names: tuple[str, ...], path_values: tuple[str, ...]
    ) -> None:
        self.argument = argument
        self._path_names = path_names
        self._path_values = path_values

    @property
    def path(self) -> dict[str, str]:
        """The values of the path parameters by name, as text."""
        return dict(zip(self._path_names, self._path_values, strict=True))

    @property
    def path_values(self) -> tuple[str, ...]:
        """The values of the path parameters from left to right, as text."""
        return self._path_values


class Groups(tuple[str, ...]):
    """All groups of a `regexp=` route from left to right; annotate an argument with it.

    A group that took no part in the match is an empty text.
    """

    __slots__ = ()


Binder = Callable[[Exchange, BinderContext], Any]
"""Makes an argument from a request at once; raises `HttpError` if the request does not have it.

It is asked after all other arguments were found to be good.
"""


def standard_binders(lanes: Lanes | None = None) -> dict[Any, Binder]:
    """The binders of the types that Tarry itself knows, for who answers in `lanes`."""
    return {
        Request: lambda exchange, _: request_of(exchange, lanes),
        Response: lambda exchange, _: request_of(exchange, lanes).response,
        Headers: lambda exchange, _: Headers.from_fields(exchange.head.headers),
        Cookies: lambda exchange, _: Cookies(read_cookies(exchange)),
        Groups: lambda _, context: Groups(context.path_values),
        WebSocket: lambda exchange, context: WebSocket(exchange, context.path),
    }
