"""Binders: what makes arguments of a type, whatever their name."""

from collections.abc import Callable
from typing import Any

from tarry.app.params import Argument, Cookies
from tarry.app.places import read_cookies
from tarry.exchange import Exchange
from tarry.message.headers import Headers


class BinderContext:
    """What a binder may want to know besides the request."""

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


Binder = Callable[[Exchange, BinderContext], Any]
"""Makes an argument from a request; raises `HttpError` if the request does not have it.

It is asked after all other arguments were found to be good.  That of an
`async def` has to be awaited by whoever calls the function: `Binding.awaited`.
"""


def standard_binders() -> dict[Any, Binder]:
    """The binders for `Headers` and `Cookies`."""
    return {
        Headers: lambda exchange, _: Headers.from_fields(exchange.head.headers),
        Cookies: lambda exchange, _: Cookies(read_cookies(exchange)),
    }
