"""From marked functions and classes to registrations."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from tarry.app.controllers import ControllerMark, is_static, marks_of
from tarry.app.handlers import Handler, Make, bound_handler, fresh_handler
from tarry.app.route_options import Registration, RegistrationError, RouteMark


def function_routes(function: Callable[..., Any]) -> Iterator[Registration]:
    """The registrations of a marked function that belongs to no class."""
    for mark in marks_of(function):
        yield from mark.registrations(function, function.__name__)


def controller_routes(cls: type[Any], mark: ControllerMark) -> list[Registration]:
    """The registrations of a class, in the order in which its methods are defined.

    Methods of bases come first.  A method that overrides another has the marks
    of that one unless it has its own; setting the name to `None` takes it away.

    Raises:
        RegistrationError: nothing is marked, the class cannot be made with
            `args` and `kwargs`, or a method has no `self`; naming the class.
    """
    methods = list(_marked_methods(cls))
    if not methods:
        raise RegistrationError(
            f"class {_describe(cls)} has no marked method: mark one with @get, @route and so on"
        )
    handler_for = _handlers(cls, mark)
    return [
        mark.scope.enclose(registration)
        for name, marks in methods
        for registration in _method_routes(cls, mark, name, marks, handler_for(name))
    ]


def _marked_methods(cls: type[Any]) -> Iterator[tuple[str, tuple[RouteMark, ...]]]:
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    seen = {id(None)}
    for name in names:
        definitions = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
        marks = next(filter(None, map(marks_of, definitions)), ())
        # A second name of the same function is no second route.
        if marks and id(definitions[0]) not in seen:
            seen.add(id(definitions[0]))
            yield name, marks


def _method_routes(
    cls: type[Any],
    class_mark: ControllerMark,
    name: str,
    marks: tuple[RouteMark, ...],
    handler: Handler,
) -> Iterator[Registration]:
    default_name = f"{class_mark.name}.{name}" if class_mark.name else None
    for mark in marks:
        options = mark.options
        if class_mark.methods and not mark.has_methods:
            options = dataclasses.replace(options, methods=class_mark.methods)
        if options.name is None and mark is marks[0]:
            options = dataclasses.replace(options, name=default_name)
        complete = dataclasses.replace(mark, options=options)
        yield from complete.registrations(handler, f"{cls.__name__}.{name}")


def _handlers(cls: type[Any], mark: ControllerMark) -> Callable[[str], Handler]:
    constructor: Callable[..., Any] = cls
    make = functools.partial(constructor, *mark.args, **mark.kwargs)
    _check_constructor(cls, mark)
    holder = _made(cls, make) if mark.singleton else None

    def handler_for(name: str) -> Handler:
        try:
            if is_static(inspect.getattr_static(cls, name)):
                return bound_handler(cls, name)
            if mark.singleton:
                return bound_handler(holder, name)
            return fresh_handler(cls, name, make)
        except (TypeError, ValueError) as error:
            raise RegistrationError(f"method {name} of class {_describe(cls)}: {error}") from error

    return handler_for


def _check_constructor(cls: type[Any], mark: ControllerMark) -> None:
    """Tell now what would otherwise fail for each request."""
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise RegistrationError(f"class {_describe(cls)} is abstract: it has no {missing}")
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):
        return  # written in C: only making one shows it
    try:
        signature.bind(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise RegistrationError(
            f"class {_describe(cls)} cannot be made with its args and kwargs: {error}"
        ) from error


def _made(cls: type[Any], make: Make) -> object:
    try:
        return make()
    except Exception as error:
        raise RegistrationError(
            f"class {_describe(cls)}: making its object raised {type(error).__name__}: {error}"
        ) from error


def _describe(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
