"""Controllers: which methods of a class become routes, and how they are called."""

from __future__ import annotations

import abc
import functools
import threading
from dataclasses import dataclass

import pytest

from tarry.app.controllers import controller, delete, get, post, put, route
from tarry.app.errors import HttpError
from tarry.app.route_options import RegistrationError
from tests.app.recording import Recorder, Serving
from tests.app.serving import once


def recorded(cls, prefix="", **options):
    recorder = Recorder()
    recorder.add_controller(cls, prefix, **options)
    return recorder


def auth():
    return None


def log():
    return None


# ── places and options ────────────────────────────────────────────────────────────────────


class Notes:
    @route
    def address(self):
        return "the class itself"

    @get("/")
    def all(self):
        return []

    @get("/{number}")
    @get("{number}/text")
    def show(self, number: int):
        return number

    @post("/new", "/create")
    def create(self):
        return None

    @route("/any", methods="*")
    def any(self):
        return None

    @route(regexp="^/old/([0-9]+)$")
    def old(self):
        return None

    def helper(self):
        return None


def test_methods_are_registered_below_the_prefix_in_order_of_definition():
    assert recorded(Notes, "/notes").places == [
        "GET /notes",
        "GET /notes/",
        "GET /notes/{number}",
        "GET /notes/{number}/text",
        "POST /notes/new",
        "POST /notes/create",
        "* /notes/any",
        "GET ^/old/([0-9]+)$",
    ]


def test_methods_without_methods_have_those_of_the_class():
    places = recorded(Notes, "/notes", methods="PUT, delete").places

    assert places[0] == "PUT,DELETE /notes"
    assert places[1] == "GET /notes/"
    assert places[-2:] == ["* /notes/any", "PUT,DELETE ^/old/([0-9]+)$"]


def test_narrowing_of_class_and_method_both_hold_also_for_regular_expressions():
    class Narrowed:
        @get("/x", params="b", headers=["i", "j"])
        def show(self):
            return None

        @get(regexp="^/x$", params="c")
        def match(self):
            return None

    show, match = recorded(Narrowed, "/n", params=("a", "!z"), headers="h").all

    assert show.options.params == (("a", "!z"), "b")
    assert show.options.headers == ("h", ["i", "j"])
    assert match.options.params == (("a", "!z"), "c")


def test_filters_of_the_class_surround_those_of_the_method():
    class Filtered:
        @get("/x", filters=[log])
        def show(self):
            return None

    assert recorded(Filtered, filters=[auth]).only.options.all_filters() == (auth, log)


def test_a_class_gives_names_to_methods_that_have_none():
    class Named:
        @get("/a")
        @get("/b")
        def show(self):
            return None

        @get("/c", "/d", name="other")
        def more(self):
            return None

    names = [(each.path, each.options.name) for each in recorded(Named, name="things").all]
    assert names == [("/a", "things.show"), ("/b", None), ("/c", "other"), ("/d", None)]
    assert recorded(Named).all[0].options.name is None


def test_people_read_class_and_method():
    assert recorded(Notes).all[0].origin == "Notes.address"


# ── inheritance ───────────────────────────────────────────────────────────────────────────


class Base:
    @get("/a")
    def first(self):
        return "base"

    @get("/b")
    def second(self):
        return "base"

    @get("/c")
    def third(self):
        return "base"


def test_marks_of_bases_count():
    class Sub(Base):
        @get("/d")
        def fourth(self):
            return None

    recorder = recorded(Sub)
    assert recorder.places == ["GET /a", "GET /b", "GET /c", "GET /d"]
    assert recorder.all[0].origin == "Sub.first"


def test_a_method_that_overrides_has_its_own_marks_or_else_those_of_the_base():
    class Sub(Base):
        def first(self):
            return "sub"

        @put("/other")
        def second(self):
            return "sub"

        third = None

    recorder = recorded(Sub)
    assert recorder.places == ["GET /a", "PUT /other"]
    assert [each.function() for each in recorder.all] == ["sub", "sub"]


def test_of_two_bases_the_first_counts():
    class Other:
        @delete("/other")
        def first(self):
            return "other"

    class Both(Other, Base):
        pass

    recorder = recorded(Both)
    assert recorder.places[0] == "DELETE /other"
    assert recorder.all[0].function() == "other"
    assert len(recorder.all) == 3


def test_a_second_name_is_no_second_route():
    class Twice(Base):
        again = Base.first

    assert recorded(Twice).places == ["GET /a", "GET /b", "GET /c"]


# ── objects ───────────────────────────────────────────────────────────────────────────────


class Counter:
    def __init__(self, start=0, *, step=1):
        self.value = start
        self.step = step

    @get("/next")
    def next(self):
        self.value += self.step
        return self.value


def test_each_request_has_an_object_of_its_own():
    function = recorded(Counter, args=[10], kwargs={"step": 5}).only.function

    assert [function(), function()] == [15, 15]


def test_a_singleton_is_one_object_for_all():
    function = recorded(Counter, singleton=True, args=[10], kwargs={"step": 5}).only.function

    assert [function(), function()] == [15, 20]


class Fails:
    def __init__(self):
        raise HttpError(503, "the database is away")

    @get("/x")
    def show(self):
        return None


def test_a_singleton_that_cannot_be_made_is_told_at_once_with_its_class():
    with pytest.raises(RegistrationError) as caught:
        recorded(Fails, singleton=True)

    assert f"class {__name__}.Fails: making its object raised HttpError" in str(caught.value)
    assert isinstance(caught.value.__cause__, HttpError)


def test_an_object_that_cannot_be_made_answers_the_request():
    serving = Serving()
    serving.add_controller(Fails)

    asked = once(serving.dispatcher, "GET", "/x")

    assert (asked.status, asked.json["detail"]) == (503, "the database is away")


class Needs:
    def __init__(self, database):
        self.database = database

    @get("/x")
    def show(self):
        return None


@pytest.mark.parametrize("singleton", [False, True])
@pytest.mark.parametrize("options", [{}, {"args": [1, 2]}, {"kwargs": {"data": 1}}])
def test_arguments_that_do_not_fit_are_told_at_once(singleton, options):
    with pytest.raises(RegistrationError, match=r"Needs cannot be made with its args and kwargs"):
        recorded(Needs, singleton=singleton, **options)


def test_an_abstract_class_is_told_what_it_lacks():
    class Abstract(abc.ABC):
        @get("/x")
        def show(self):
            return None

        @abc.abstractmethod
        def load(self):
            return None

    with pytest.raises(RegistrationError, match="Abstract is abstract: it has no load"):
        recorded(Abstract)


def test_a_class_whose_signature_nobody_knows_is_made():
    class Text(type("Opaque", (dict,), {})):
        @get("/x")
        def show(self):
            return sorted(self)

    assert recorded(Text, args=[{"b": 1, "a": 2}]).only.function() == ["a", "b"]


@pytest.mark.parametrize("cls", [int, type("Empty", (), {"show": lambda self: None})])
def test_a_class_without_marks_is_refused(cls):
    with pytest.raises(RegistrationError, match=f"{cls.__name__} has no marked method"):
        recorded(cls)


@pytest.mark.parametrize("singleton", [False, True])
def test_a_method_without_self_is_named_with_its_class(singleton):
    class Selfless:
        @get("/x")
        def show():
            return None

    with pytest.raises(
        RegistrationError, match=r"method show of class .*Selfless: it takes no self"
    ):
        recorded(Selfless, singleton=singleton)


def test_an_override_that_is_no_method_is_refused():
    class Sub(Base):
        first = property(lambda self: 5)

    with pytest.raises(RegistrationError, match=r"method first of class .*Sub: "):
        recorded(Sub)


def test_nothing_is_added_of_a_class_with_a_mistake():
    class Half(Base):
        @get("/z")
        def last():
            return None

    recorder = Recorder()
    with pytest.raises(RegistrationError):
        recorder.add_controller(Half)

    assert recorder.all == []


# ── with the dispatcher ───────────────────────────────────────────────────────────────────


def lane():
    is_main = threading.current_thread() is threading.main_thread()
    return "loop" if is_main else "thread"


def doubled(method):
    @functools.wraps(method)
    def wrapper(*arguments, **named):
        return method(*arguments, **named) * 2

    return wrapper


@dataclass
class Item:
    price: int


class Shop:
    def __init__(self):
        self.made_in = lane()

    @get("/def/{number}")
    def plain(self, number: int, size: float = 1.5):
        return [self.made_in, lane(), number, size]

    @get("/inline/{number}", inline=True)
    def inline(self, number: int):
        return [self.made_in, lane(), number]

    @get("/async/{number}")
    async def slow(self, number: int):
        return [self.made_in, lane(), number]

    @post("/body")
    async def body(self, item: Item):
        return [self.made_in, lane(), item]

    @get("/generator")
    def generator(self, n: int):
        yield from map(str, range(n))

    @get("/async-generator")
    async def async_generator(self, n: int):
        for each in range(n):
            yield str(each)

    @get("/static/{number}", inline=True)
    @staticmethod
    def static(number: int):
        return [number]

    @staticmethod
    @get("/static-below/{number}", inline=True)
    def static_below(number: int):
        return [number]

    @classmethod
    @get("/class/{number}", inline=True)
    def of_class(cls, number: int):
        return [cls.__name__, number]

    @get("/decorated/{number}", inline=True)
    @doubled
    def decorated(self, number: int):
        return [number]


def shop(singleton):
    serving = Serving()
    serving.controller("/shop", singleton=singleton)(Shop)
    return serving.dispatcher


@pytest.mark.parametrize("singleton", [False, True])
@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/shop/static/7", [7]),
        ("/shop/static-below/7", [7]),
        ("/shop/class/7", ["Shop", 7]),
        ("/shop/decorated/7", [7, 7]),
        ("/shop/inline/7", ["loop", "loop", 7]),
        ("/shop/async/7", ["loop", "loop", 7]),
    ],
)
def test_methods_bind_their_arguments_and_run(singleton, target, answer):
    assert once(shop(singleton), "GET", target).json == answer


@pytest.mark.parametrize(("singleton", "made_in"), [(False, "thread"), (True, "loop")])
def test_an_object_is_made_in_the_lane_of_its_handler(singleton, made_in):
    asked = once(shop(singleton), "GET", "/shop/def/7?size=2.5")

    assert asked.json == [made_in, "thread", 7, 2.5]


@pytest.mark.parametrize("singleton", [False, True])
@pytest.mark.parametrize("target", ["/shop/generator?n=3", "/shop/async-generator?n=3"])
def test_generators_stream(singleton, target):
    assert once(shop(singleton), "GET", target).body == b"012"


@pytest.mark.parametrize("singleton", [False, True])
def test_a_body_is_bound(singleton):
    headers = [("content-type", "application/json")]
    asked = once(shop(singleton), "POST", "/shop/body", headers, body=b'{"price": 1}')

    assert asked.json == ["loop", "loop", {"price": 1}]


@pytest.mark.parametrize("singleton", [False, True])
def test_a_bad_argument_is_named(singleton):
    asked = once(shop(singleton), "GET", "/shop/def/x?size=y")

    assert asked.status == 400
    assert {fault["name"] for fault in asked.json["errors"]} == {"number", "size"}


def test_the_class_address_with_and_without_slash():
    serving = Serving()
    serving.add_controller(controller("/notes")(type("Sub", (Notes,), {"old": None, "any": None})))

    assert once(serving.dispatcher, "GET", "/notes").body == b"the class itself"
    assert once(serving.dispatcher, "GET", "/notes/").json == []
