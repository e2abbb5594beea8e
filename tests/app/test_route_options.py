"""What can be said about a route, and how it adds up with what surrounds it."""

from __future__ import annotations

import pytest

from tarry.app.route_options import (
    RegistrationError,
    RouteOptions,
    Scope,
    join_paths,
    parse_methods,
    read_mark,
    read_scope,
)


def handler():
    return None


def first():
    return None


def second():
    return None


# ── methods ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "methods"),
    [
        ("GET", ("GET",)),
        ("get", ("GET",)),
        ("GET, POST", ("GET", "POST")),
        ("post,Get", ("POST", "GET")),
        (" GET\n", ("GET",)),
        (["get", "POST"], ("GET", "POST")),
        (("PUT", "put", "PUT"), ("PUT",)),
        (["GET, PUT", "delete"], ("GET", "PUT", "DELETE")),
        ("M-SEARCH", ("M-SEARCH",)),
        ("*", ("*",)),
        (["*"], ("*",)),
        ((each for each in ["get"]), ("GET",)),
    ],
)
def test_methods_are_read_in_any_form(given, methods):
    assert parse_methods(given) == methods


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "'' is no method"),
        ("GET,", "'' is no method"),
        ("GET POST", "'GET POST' is no method"),
        ("GÉT", "is no method"),
        ([], "methods is empty"),
        (["*", "GET"], "leave the others out"),
        ("*, POST", "leave the others out"),
        (5, "write 'GET, POST'"),
        ([5], "write 'GET, POST'"),
        ([None], "write 'GET, POST'"),
    ],
)
def test_methods_that_cannot_be(given, says):
    with pytest.raises(RegistrationError) as caught:
        parse_methods(given)

    assert says in str(caught.value)


# ── one mark ──────────────────────────────────────────────────────────────────────────────


def test_without_options_a_route_has_the_defaults():
    mark = read_mark(("/",), None, None, {})

    assert mark.options == RouteOptions()
    assert not mark.has_methods


def test_methods_given_are_told_from_methods_assumed():
    assert read_mark(("/",), None, "GET", {}).has_methods


@pytest.mark.parametrize(("paths", "regexp"), [((), None), (("/",), "^/$"), (("/", "/x"), "")])
def test_a_route_has_either_paths_or_a_regular_expression(paths, regexp):
    with pytest.raises(RegistrationError, match="either paths or regexp="):
        read_mark(paths, regexp, None, {})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": ""}, "name=''"),
        ({"name": 7}, "name=7"),
        ({"filters": handler}, "write a list of functions"),
        ({"filters": 5}, "write a list of functions"),
        ({"filters": ["auth"]}, "'auth', which cannot be called"),
        ({"max_body_bytes": -1}, "max_body_bytes=-1"),
        ({"max_body_bytes": True}, "max_body_bytes=True"),
        ({"max_body_bytes": "1k"}, "max_body_bytes='1k'"),
    ],
)
def test_options_that_cannot_be(options, says):
    with pytest.raises(RegistrationError) as caught:
        read_mark(("/",), None, None, options)

    assert says in str(caught.value)


@pytest.mark.parametrize("bytes_", [0, 1, 2**40])
def test_the_limit_of_a_body_is_any_number_from_zero(bytes_):
    assert (
        read_mark(("/",), None, None, {"max_body_bytes": bytes_}).options.max_body_bytes == bytes_
    )


def test_an_option_that_there_is_not_is_named_with_those_that_there_are():
    with pytest.raises(RegistrationError, match="no option 'method' here; there are name, inline"):
        read_mark(("/",), None, None, {"method": "GET"})
    with pytest.raises(RegistrationError, match="no option 'inline' here; there are params, head"):
        read_scope("", inline=True)


@pytest.mark.parametrize(("paths", "regexp"), [((5,), None), (("/", b"/x"), None), ((), b"/x")])
def test_places_are_texts(paths, regexp):
    with pytest.raises(RegistrationError, match="is no path"):
        read_mark(paths, regexp, None, {})


@pytest.mark.parametrize("narrowing", ["a=1", ["a=1", "b"], ("a=1", "!b"), {"any": object}])
def test_a_narrowing_is_one_part_whatever_it_is(narrowing):
    options = read_mark(("/",), None, None, {"params": narrowing, "headers": narrowing}).options

    assert options.params == options.headers == (narrowing,)


def test_the_first_of_several_paths_has_the_name():
    registrations = read_mark(("/a", "/b"), None, None, {"name": "x"}).registrations(handler, "h")

    assert [(each.path, each.options.name) for each in registrations] == [("/a", "x"), ("/b", None)]


# ── scopes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("prefix", "path", "joined"),
    [
        ("", "", ""),
        ("", "/x", "/x"),
        ("", "x", "x"),
        ("/", "", "/"),
        ("/", "/x", "/x"),
        ("/api", "", "/api"),
        ("/api/", "", "/api/"),
        ("/api", "/", "/api/"),
        ("/api/", "/", "/api/"),
        ("/api", "/x", "/api/x"),
        ("/api", "x", "/api/x"),
        ("/api/", "/x", "/api/x"),
        ("/api/", "x/", "/api/x/"),
        ("api", "x", "api/x"),
        ("/{tenant}", "{id:int}", "/{tenant}/{id:int}"),
    ],
)
def test_prefix_and_path_have_one_slash_between_them(prefix, path, joined):
    assert join_paths(prefix, path) == joined


def enclosed(scope, **options):
    [registration] = read_mark(("/x",), None, None, options).registrations(handler, "h")
    return scope.enclose(registration)


def test_narrowing_of_scope_and_route_both_hold_the_outer_first():
    scope = read_scope("/api", params="a", headers=["b", "c"])

    inner = enclosed(scope, params="d", headers="e")

    assert inner.path == "/api/x"
    assert inner.options.params == ("a", "d")
    assert inner.options.headers == (["b", "c"], "e")


@pytest.mark.parametrize(
    ("outer", "inner", "limit"),
    [(None, None, None), (5, None, 5), (None, 6, 6), (5, 6, 6), (5, 0, 0)],
)
def test_the_limit_nearest_to_the_route_counts(outer, inner, limit):
    scope = read_scope("", max_body_bytes=outer)

    assert enclosed(scope, max_body_bytes=inner).options.max_body_bytes == limit


def test_filters_run_from_the_outermost_in_and_may_be_added_later():
    outer, inner = Scope(), Scope(filters=[second])
    registration = outer.enclose(inner.enclose(enclosed(Scope(), filters=[handler])))

    assert registration.options.all_filters() == (second, handler)
    outer.filters.append(first)
    assert registration.options.all_filters() == (first, second, handler)


def test_a_list_of_filters_given_is_not_the_list_of_the_scope():
    given = [first]
    scope = read_scope("", filters=given)
    given.append(second)

    assert scope.filters == [first]


@pytest.mark.parametrize("prefix", [5, None, b"/api"])
def test_a_prefix_is_a_text(prefix):
    with pytest.raises(RegistrationError, match="is no prefix"):
        read_scope(prefix)
