"""Which handler answers for an error, and what the client may know of it."""

from __future__ import annotations

import functools

import pytest

from tarry.app.errors import BadParameters, HttpError
from tarry.app.failures import ErrorHandlers, as_http_error
from tarry.message.cookies import CookiesTooLarge
from tarry.message.target import InvalidTarget, TooManyFields


class ShopError(Exception):
    pass


class SoldOut(ShopError):
    pass


def handlers(*keys):
    """Handlers for some keys; each returns its key."""
    table = ErrorHandlers()
    for key in keys:
        table.add(key, functools.partial(lambda key: key, key=key))
    return table


ALL = (SoldOut, ShopError, HttpError, 404, 500, "4xx", "5xx", None)


@pytest.mark.parametrize(
    ("keys", "error", "status", "chosen"),
    [
        (ALL, SoldOut(), 500, SoldOut),
        ((ShopError, 500), SoldOut(), 500, ShopError),
        ((Exception, 500), SoldOut(), 500, Exception),
        ((500, "5xx", None), SoldOut(), 500, 500),
        (("5xx", None), SoldOut(), 500, "5xx"),
        ((None,), SoldOut(), 500, None),
        ((HttpError, 404), HttpError(404), 404, HttpError),
        ((404, "4xx"), HttpError(404), 404, 404),
        ((404, "4xx"), HttpError(410), 410, "4xx"),
        ((404, "4xx", None), HttpError(503), 503, None),
        ((HttpError,), BadParameters([]), 400, HttpError),
    ],
)
def test_the_most_specific_handler_is_asked(keys, error, status, chosen):
    found = handlers(*keys).find(error, status)

    assert found is not None
    assert found() == chosen


@pytest.mark.parametrize("keys", [(), (404,), ("4xx",), (SoldOut,), (KeyError,)])
def test_no_handler_for_this_one(keys):
    assert handlers(*keys).find(ShopError(), 500) is None


@pytest.mark.parametrize("key", [200, 399, 600, 0, "404", "3xx", "xx", 404.0, ValueError("x")])
def test_keys_that_no_error_has(key):
    with pytest.raises(ValueError, match="an error handler is for"):
        handlers(key)


@pytest.mark.parametrize("key", ALL)
def test_a_second_handler_for_the_same(key):
    with pytest.raises(ValueError, match="already"):
        handlers(key, key)


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda error: None,
        lambda error, request, status: None,
        lambda request, *, status: None,
        lambda error, other=None: None,
        lambda *arguments, **named: None,
    ],
)
def test_what_an_error_handler_can_take(function):
    table = ErrorHandlers()
    table.add(404, function)

    assert table.find(HttpError(404), 404) is function


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda exc: None, "exc"),
        (lambda request, exc: None, "exc"),
        (lambda error, /: None, "error"),
        (lambda *, tenant: None, "tenant"),
    ],
)
def test_what_an_error_handler_cannot_take_is_told_when_it_is_registered(function, name):
    with pytest.raises(ValueError, match=f'not "{name}".*test_failures.py:'):
        ErrorHandlers().add(404, function)


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (TooManyFields("100 at most"), 400, "the query has too many parameters"),
        (InvalidTarget("%zz"), 400, "the URL does not decode"),
        (CookiesTooLarge("x"), 431, "the cookies are too large"),
        (ValueError("secret"), 500, ""),
        (SystemExit("secret"), 500, ""),
        (KeyboardInterrupt(), 500, ""),
    ],
)
def test_what_the_client_may_know(error, status, detail):
    told = as_http_error(error)

    assert (told.status, told.detail) == (status, detail)
    assert "secret" not in str(told.problem())


def test_an_http_error_is_told_as_it_is():
    error = HttpError(418, "short and stout")

    assert as_http_error(error) is error
