"""Marks of functions and classes."""

from __future__ import annotations

import functools

import pytest

from tarry.app import controllers
from tarry.app.controllers import (
    controller,
    controller_of,
    get,
    is_controller,
    marks_of,
    post,
    route,
)
from tarry.app.route_options import RegistrationError


def said(function):
    """Methods and paths of each mark."""
    return [(mark.options.methods, mark.paths) for mark in marks_of(function)]


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_each_method_has_its_mark(verb):
    mark = getattr(controllers, verb)

    def function():
        return None

    assert mark("/x", "/y", inline=True)(function) is function
    assert said(function) == [((verb.upper(),), ("/x", "/y"))]
    assert marks_of(function)[0].options.inline


@pytest.mark.parametrize("mark", [route, route(), get, get()])
def test_a_mark_without_path_means_the_address_of_the_class(mark):
    def function():
        return None

    assert mark(function) is function
    assert said(function) == [(("GET",), ("",))]


def test_marks_stack_and_are_read_from_the_top():
    @get("/a")
    @post("/b")
    @route(regexp="^/c$", methods="*")
    def function():
        return None

    assert said(function) == [(("GET",), ("/a",)), (("POST",), ("/b",)), (("*",), ())]


def test_a_wrapper_made_with_wraps_keeps_the_marks_and_gives_none_back():
    def twice(function):
        @functools.wraps(function)
        def wrapper():
            return function() * 2

        return wrapper

    @get("/a")
    def plain():
        return 1

    wrapped = get("/b")(twice(plain))

    assert said(wrapped) == [(("GET",), ("/b",)), (("GET",), ("/a",))]
    assert said(plain) == [(("GET",), ("/a",))]


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_static_and_class_methods_are_marked_above_or_below(kind):
    def function(*_):
        return None

    assert said(get("/a")(kind(get("/b")(function)))) == [(("GET",), ("/a",)), (("GET",), ("/b",))]


@pytest.mark.parametrize("value", [str, functools.partial(print), property(print), None, 5])
def test_only_functions_are_marked(value):
    with pytest.raises(RegistrationError):
        get("/x")(value)


def test_a_function_that_cannot_carry_a_mark_is_named():
    with pytest.raises(RegistrationError, match="len> cannot be marked"):
        get("/x")(len)


def test_a_path_and_a_function_at_once_are_refused():
    with pytest.raises(RegistrationError, match="is no path"):
        get(print, "/x")


def test_options_are_checked_where_they_are_written():
    with pytest.raises(RegistrationError, match="'GE T' is no method"):
        route("/x", methods="GE T")


def test_an_object_that_pretends_to_have_every_attribute_has_no_mark():
    class Pretender:
        def __getattr__(self, name):
            return (name,)

        @property
        def __class__(self):
            raise RuntimeError("there is nothing behind this")

    assert marks_of(Pretender()) == ()
    assert not is_controller(Pretender())


# ── classes ───────────────────────────────────────────────────────────────────────────────


def test_a_class_is_marked_with_its_options():
    kwargs = {"size": 3}

    @controller(
        "/obj", singleton=True, args=[1, 2], kwargs=kwargs, methods="get, post", params="a",
        headers=["b"], filters=[print], name="objects", max_body_bytes=9,
    )  # fmt: skip
    class Objects:
        pass

    kwargs["size"] = 4
    mark = controller_of(Objects)

    assert is_controller(Objects)
    assert (mark.singleton, mark.args, mark.kwargs) == (True, (1, 2), {"size": 3})
    assert (mark.methods, mark.name) == (("GET", "POST"), "objects")
    assert (mark.scope.prefix, mark.scope.params, mark.scope.headers) == ("/obj", ("a",), (["b"],))
    assert (mark.scope.filters, mark.scope.max_body_bytes) == ([print], 9)


def test_a_class_may_be_marked_without_parentheses():
    @controller
    class Objects:
        pass

    assert is_controller(Objects)
    assert controller_of(Objects).scope.prefix == ""


def test_a_subclass_is_no_controller_by_itself_but_has_the_options_of_its_base():
    @controller("/obj")
    class Objects:
        pass

    class Special(Objects):
        pass

    assert not is_controller(Special)
    assert controller_of(Special) is controller_of(Objects)


@pytest.mark.parametrize(
    "options",
    [{"methods": "GE T"}, {"name": ""}, {"filters": [5]}, {"max_body_bytes": -1}, {"inline": True}],
)
def test_options_of_a_class_are_checked_where_they_are_written(options):
    with pytest.raises(RegistrationError):
        controller("/obj", **options)


@pytest.mark.parametrize("value", [print, 5, None])
def test_only_classes_are_controllers(value):
    with pytest.raises(RegistrationError, match="is no class"):
        controller("/obj")(value)
