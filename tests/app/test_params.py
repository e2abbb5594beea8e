"""Signatures: what is read from them, and errors that name function, place and argument."""

from __future__ import annotations

import functools
from typing import Annotated

import msgspec
import pytest

from tarry.app.params import (
    MISSING,
    Argument,
    Body,
    Cookie,
    Header,
    Marker,
    Path,
    Query,
    SignatureError,
    read_arguments,
)

NOTE = msgspec.Meta(gt=0)


def read(function) -> list[Argument]:
    return list(read_arguments(function).arguments)


def only(function) -> Argument:
    (argument,) = read(function)
    return argument


def refusal(function) -> str:
    with pytest.raises(SignatureError) as caught:
        read_arguments(function)
    return str(caught.value)


def test_nothing():
    def function():
        return None

    signature = read_arguments(function)

    assert (signature.arguments, signature.takes_rest) == ((), False)


def test_names_annotations_and_defaults():
    def function(a, b: int, c=3, *, d: str = "x", **rest):
        return a, b, c, d, rest

    signature = read_arguments(function)

    assert list(signature.arguments) == [
        Argument("a", MISSING, MISSING, None),
        Argument("b", int, MISSING, None),
        Argument("c", MISSING, 3, None),
        Argument("d", str, "x", None),
    ]
    assert signature.takes_rest


@pytest.mark.parametrize("marker", [Query("x"), Path("x"), Header("x"), Cookie("x"), Body("x")])
def test_both_ways_to_mark(marker):
    def by_annotation(a: Annotated[int, marker]):
        return a

    def by_default(a: int = marker):
        return a

    assert only(by_annotation) == only(by_default) == Argument("a", int, MISSING, marker)


def test_a_marker_can_be_a_bare_class():
    def function(a: Annotated[int, Query], b=Header):
        return a, b

    assert [argument.marker for argument in read(function)] == [Query(), Header()]


def test_a_default_in_the_marker():
    def function(a: Annotated[int, Query(default=5)], b=Header(default=None)):  # noqa: B008 — because markers are made for this
        return a, b

    assert [argument.default for argument in read(function)] == [5, None]


def test_metadata_of_others_stays():
    def function(a: Annotated[int, NOTE, Query("x")], b: Annotated[int, NOTE]):
        return a, b

    assert [argument.annotation for argument in read(function)] == [Annotated[int, NOTE]] * 2


@pytest.mark.parametrize(("kind", "place"), [
    (Query, "query"), (Path, "path"), (Header, "header"), (Cookie, "cookie"), (Body, "body"),
])  # fmt: skip
def test_markers_know_their_place_and_do_not_change(kind, place):
    marker = kind("x")

    assert isinstance(marker, Marker)
    assert (marker.place, marker.name, marker.default) == (place, "x", MISSING)
    with pytest.raises(AttributeError):
        marker.name = "y"


def test_types_that_are_local_where_the_function_is_defined():
    class Item(msgspec.Struct):
        x: int

    def outer():
        class Inner(msgspec.Struct):
            y: int

        def function(a: Item, b: list[Inner], c: "Inner | None" = None):  # noqa: UP037 — because authors write this too
            return a, b, c

        return Inner, read(function)

    inner, arguments = outer()
    assert [argument.annotation for argument in arguments] == [Item, list[inner], inner | None]


def test_types_that_the_function_closes_over():
    class Item(msgspec.Struct):
        x: int

    def make():
        def function(a: Item):
            return isinstance(a, Item)

        return function

    assert only(make()).annotation is Item


def test_wrapped_bound_partial_and_callable():
    def decorated(function):
        @functools.wraps(function)
        def wrapper(*arguments, **named):
            return function(*arguments, **named)

        return wrapper

    class Controller:
        def method(self, a: int):
            return a

        def __call__(self, a: int):
            return a

    @decorated
    def wrapped(a: int):
        return a

    def two(b: str, a: int):
        return a, b

    expected = Argument("a", int, MISSING, None)
    controller = Controller()
    for function in (wrapped, controller.method, controller, functools.partial(two, "x")):
        assert only(function) == expected


def local_unknown(a: int, thing: Nowhere):  # noqa: F821 — because this is what is tested
    return a, thing


def positional(thing, /):
    return thing


def starred(*things):
    return things


def two_markers(thing: Annotated[int, Query()] = Header()):
    return thing


def two_defaults(thing: Annotated[int, Query(default=1)] = 2):
    return thing


@pytest.mark.parametrize(
    ("function", "name", "reason"),
    [
        (local_unknown, "thing", "'Nowhere'"),
        (positional, "thing", "positional-only"),
        (starred, "things", "functools.wraps"),
        (two_markers, "thing", "two markers"),
        (two_defaults, "thing", "two defaults"),
    ],
)
def test_refusals_name_function_place_and_argument(function, name, reason):
    message = refusal(function)

    line = function.__code__.co_firstlineno
    assert f"function {function.__qualname__} ({__file__}:{line}): argument {name!r} " in message
    assert reason in message


@pytest.mark.parametrize(("function", "reason"), [(type, "no signature"), ("view", "callable")])
def test_what_has_no_signature(function, reason):
    assert reason in refusal(function)


def test_a_function_can_use_what_is_defined_below_it():
    def handler(name: str):
        return below(name)

    assert only(handler).name == "name"

    def below(name):
        return name
