"""The ways in which a route is registered, all of which end in one method."""

from __future__ import annotations

import functools

import pytest

from tarry.app.controllers import controller, get
from tarry.app.dispatch import RouteError
from tarry.app.registration import Registrar
from tarry.app.route_options import RegistrationError
from tests.app.recording import Recorder, Serving
from tests.app.serving import once


def handler():
    return "handled"


def auth():
    return None


def log():
    return None


@pytest.fixture
def recorder():
    return Recorder()


# ── functions ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_each_method_has_its_decorator(recorder, verb):
    decorated = getattr(recorder, verb)("/x", name="n", inline=True, max_body_bytes=7)(handler)

    assert decorated is handler
    assert recorder.places == [f"{verb.upper()} /x"]
    assert recorder.only.function is handler
    assert recorder.only.origin == "handler"
    options = recorder.only.options
    assert (options.name, options.inline, options.max_body_bytes) == ("n", True, 7)


def test_route_takes_methods_and_is_get_without(recorder):
    recorder.route("/x")(handler)
    recorder.route("/y", methods="put, POST")(handler)

    assert recorder.places == ["GET /x", "PUT,POST /y"]


@pytest.mark.parametrize("option", ["methods", "method"])
def test_a_decorator_of_one_method_takes_no_others(recorder, option):
    with pytest.raises(RegistrationError, match=f"no option '{option}' here"):
        recorder.get("/x", **{option: "POST"})


def test_one_function_may_have_several_paths_and_decorators(recorder):
    recorder.get("/a", "/b")(recorder.post("/c")(handler))

    assert recorder.places == ["POST /c", "GET /a", "GET /b"]


def test_a_regular_expression_takes_the_place_of_paths(recorder):
    recorder.get(regexp="^/x/([a-z]+)$")(handler)

    assert recorder.only.path is None
    assert recorder.only.regexp == "^/x/([a-z]+)$"


def test_add_route_registers_without_a_decorator(recorder):
    recorder.add_route("/x", handler, methods=["PUT"], replace=True)

    assert recorder.places == ["PUT /x"]
    assert recorder.only.options.replace


@pytest.mark.parametrize("verb", ["route", "get", "post", "put", "patch", "delete"])
def test_a_decorator_without_parentheses_says_what_to_write(recorder, verb):
    with pytest.raises(RegistrationError) as caught:
        getattr(recorder, verb)(handler)

    assert f"{verb}('/users')" in str(caught.value)
    assert "handler (" in str(caught.value)
    assert "test_registration.py:" in str(caught.value)


def test_swapped_arguments_of_add_route_are_named(recorder):
    with pytest.raises(RegistrationError, match="a path comes first"):
        recorder.add_route(handler, "/x")


@pytest.mark.parametrize("arguments", [{}, {"regexp": None}])
def test_a_route_needs_a_place(recorder, arguments):
    with pytest.raises(RegistrationError, match="either paths or regexp="):
        recorder.get(**arguments)


def test_what_cannot_be_called_is_no_handler(recorder):
    with pytest.raises(RegistrationError, match="'/y' cannot be called"):
        recorder.get("/x")("/y")


def test_a_callable_without_a_name_is_called_by_its_type(recorder):
    recorder.get("/x")(functools.partial(handler))

    assert recorder.only.origin == "partial"


def test_a_registrar_without_add_cannot_be_made():
    with pytest.raises(TypeError, match="_add"):
        Registrar()


# ── groups ────────────────────────────────────────────────────────────────────────────────


def test_a_group_puts_its_prefix_before_paths(recorder):
    api = recorder.group("/api")
    api.get("/x")(handler)
    api.get("y")(handler)
    api.get("")(handler)
    api.get("/")(handler)

    assert recorder.places == ["GET /api/x", "GET /api/y", "GET /api", "GET /api/"]
    assert api.prefix == "/api"


def test_groups_nest(recorder):
    outer = recorder.group("/api", params="a", headers="h", max_body_bytes=10)
    inner = outer.group("/v1", params=["b", "c"])
    inner.get("/x", params="d", headers="i", max_body_bytes=20)(handler)

    assert recorder.places == ["GET /api/v1/x"]
    options = recorder.only.options
    assert options.params == ("a", ["b", "c"], "d")
    assert options.headers == ("h", "i")
    assert options.max_body_bytes == 20


def test_filters_of_groups_surround_those_of_the_route(recorder):
    outer = recorder.group("/api")
    inner = outer.group("/v1", filters=[log])
    inner.get("/x", filters=[handler])(handler)

    outer.filters.append(auth)

    assert recorder.only.options.all_filters() == (auth, log, handler)


def test_a_regular_expression_and_the_prefix_of_a_group_exclude_one_another(recorder):
    inner = recorder.group("/api").group()
    with pytest.raises(RegistrationError) as caught:
        inner.get(regexp="^/x$")(handler)

    assert "prefix '/api'" in str(caught.value)
    assert "handler (" in str(caught.value)
    assert recorder.all == []


def test_a_group_without_prefix_takes_a_regular_expression(recorder):
    recorder.group(params="a").get(regexp="^/x$")(handler)

    assert recorder.places == ["GET ^/x$"]
    assert recorder.only.options.params == ("a",)


def test_a_group_with_a_path_parameter_serves():
    serving = Serving()

    @serving.group("/{tenant}").get("/users/{number:int}", inline=True)
    def user(tenant: str, number: int):
        return {"tenant": tenant, "number": number}

    assert once(serving.dispatcher, "GET", "/acme/users/7").json == {"tenant": "acme", "number": 7}


# ── classes ───────────────────────────────────────────────────────────────────────────────


class Users:
    @get("/{number}")
    def show(self, number: int):
        return number


def test_a_class_is_registered_by_a_decorator_at_once(recorder):
    assert recorder.controller("/users", params="a")(Users) is Users

    assert recorder.places == ["GET /users/{number}"]
    assert recorder.only.options.params == ("a",)
    assert recorder.only.origin == "Users.show"


def test_the_decorator_of_a_class_may_stand_alone(recorder):
    assert recorder.controller(Users) is Users

    assert recorder.places == ["GET /{number}"]


def test_add_controller_takes_the_options_of_the_class(recorder):
    recorder.add_controller(controller("/people")(type("People", (Users,), {})))

    assert recorder.places == ["GET /people/{number}"]


def test_a_class_without_options_has_those_of_its_base(recorder):
    base = controller("/people", filters=[auth])(type("People", (Users,), {}))
    recorder.add_controller(type("Friends", (base,), {}))

    assert recorder.places == ["GET /people/{number}"]
    assert recorder.only.options.all_filters() == (auth,)


def test_the_options_of_a_class_stand_for_those_of_its_base(recorder):
    base = controller("/people", filters=[auth])(type("People", (Users,), {}))
    recorder.add_controller(type("Friends", (base,), {}), "/friends")

    assert recorder.places == ["GET /friends/{number}"]
    assert recorder.only.options.all_filters() == ()


def test_options_of_a_class_in_two_places_are_refused(recorder):
    people = controller("/people", filters=[auth])(type("People", (Users,), {}))
    with pytest.raises(RegistrationError, match="People has its options from @controller"):
        recorder.controller("/friends")(people)
    with pytest.raises(RegistrationError, match="People has its options from @controller"):
        recorder.add_controller(people, singleton=True)

    assert recorder.all == []


def test_a_controller_in_a_group_is_below_both_prefixes(recorder):
    recorder.group("/api", headers="h").add_controller(Users, "/users", headers="i")

    assert recorder.places == ["GET /api/users/{number}"]
    assert recorder.only.options.headers == ("h", "i")


@pytest.mark.parametrize("value", [handler, Users(), "Users"])
def test_what_is_no_class_is_no_controller(recorder, value):
    with pytest.raises(RegistrationError, match="is no class"):
        recorder.add_controller(value)


def test_a_method_that_cannot_be_a_handler_is_named_with_its_place():
    class Broken:
        @get("/{number}")
        def show(self):
            return None

    with pytest.raises(RouteError) as caught:
        Serving().add_controller(Broken)

    assert "Broken.show" in str(caught.value)
    assert "test_registration.py:" in str(caught.value)
