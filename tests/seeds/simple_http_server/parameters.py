"""Parameters of all kinds, from the path, the query, forms and headers; narrowing."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Annotated

from tarry import Body, Header, Headers, Html, Path


@dataclass
class Person:
    """What a request says about somebody."""

    name: str
    sex: str
    age: int


def add_parameters(app, lane):
    @app.get("/header_echo")
    @lane
    def header_echo(headers: Headers):
        headers.pop("connection", None)  # what becomes of the connection, the server says
        return 200, headers, ""

    @app.get("/path_values/{pval}/{path_val}/x")
    @lane
    def path_values(pval, path_val=Path()) -> Html:
        return f"<html><body>{html.escape(pval)}, {html.escape(path_val)}</body></html>"

    @app.get("/中文/coroutine")
    @lane
    def coroutine(hey: str = "Hey!"):
        return f"Success! {hey}"

    @app.route("/say_hello", methods="GET, POST")
    @lane
    def say_hello(name="KEIJACK"):
        return f"Hello, {name}!"

    @app.get("/params")
    @lane
    def params(
        user: str,
        skills: list[str],
        accept: Annotated[str, Header()],
        age=16,
        male=True,
        extra: dict[str, int] = {},  # noqa: B006 — each call gets a copy
    ):
        return {
            "user": user,
            "age": age,
            "male": male,
            "skills": skills,
            "extra": extra,
            "accept": accept,
        }

    @app.get("/arr")
    @lane
    def arr(values: list[str]):
        return values

    @app.get("abcde/**")
    @lane
    def wildcard_text(wildcard: str):
        return wildcard

    @app.binder(Person)
    @lane
    def person_of(name: str, sex: str, age: int):
        return Person(name, sex, age)

    @app.get("/model_binding/person")
    @lane
    def model_binding(person: Person):
        return person


def add_narrowing(app, lane):
    @app.get("/param/narrowing", params="a=b")
    @lane
    def equal():
        return "a=b"

    @app.get("/param/narrowing", params="a!=b")
    @lane
    def not_equal():
        return "a!=b"

    @app.post("/header_narrowing", headers="Content-Type^=text/")
    @lane
    def a_text(data: Annotated[bytes, Body]):
        return f"a text: {data.decode()}"
