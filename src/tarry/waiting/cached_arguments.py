"""Which arguments of a handler make the key of its result; looked at once, when it is decorated."""

import inspect
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from pathlib import PurePath
from typing import Any, Final, TypeAlias

from tarry.app.annotations import plain_type, types_within, union_members
from tarry.app.binders import Binder, Groups
from tarry.app.dependencies import Provider
from tarry.app.params import MISSING, Argument, Cookies, Signature, describe_function
from tarry.app.route_options import RegistrationError
from tarry.app.uploads import Upload

MakeKey: TypeAlias = Callable[[dict[str, Any]], Any]
"""From the arguments of a call to what its key is made of; `None` if it is not to be kept."""

Binders: TypeAlias = Mapping[Any, Binder | Provider]

_PLAIN: Final = (Cookies, Groups)
"""What binders make that is plain text."""

_OF_METHODS: Final = ("self", "cls")


def make_key_of_arguments(signature: Signature, binders: Binders) -> MakeKey:
    """The key that all arguments make.

    Raises:
        RegistrationError: one has no form in JSON.
    """
    arguments = _arguments_of(signature)
    for argument in arguments:
        if not _has_json(argument, binders):
            names = ", ".join(each.name for each in arguments if _has_json(each, binders))
            raise RegistrationError(
                f"cached: argument {argument.name!r} of {describe_function(signature.function)} is"
                " nothing that JSON can hold; say what counts with key=, a function of the"
                f" arguments that it names, such as key=lambda {names}: ({names})"
            )
    return lambda given: given


def make_key_with(key: Any, signature: Signature) -> MakeKey:
    """The key that an author's function makes of the arguments it names.

    Raises:
        RegistrationError: it is no plain function, or asks for another argument.
    """
    if not callable(key) or inspect.iscoroutinefunction(key):
        raise RegistrationError(
            f"cached: key= is a plain function of the arguments that count, not {key!r}"
        )
    parameters = inspect.signature(key).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return lambda given: key(**given)
    there = {argument.name for argument in _arguments_of(signature)}
    for each in parameters:
        by_name = each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        missing = each.default is each.empty and each.name not in there
        if not by_name or (missing and not signature.takes_rest):
            raise RegistrationError(
                f"cached: key= asks for {each.name!r}, which"
                f" {describe_function(signature.function)} does not get by this name"
            )
    names = [each.name for each in parameters]
    return lambda given: key(**{name: given[name] for name in names if name in given})


def has_dependencies(signature: Signature, binders: Binders) -> bool:
    """Whether an argument is made by a function of the author."""
    return any(
        isinstance(_maker_of(argument.annotation, binders), Provider)
        for argument in signature.arguments
    )


def _arguments_of(signature: Signature) -> list[Argument]:
    """What a call is given by name: not the object that a method belongs to."""
    arguments = list(signature.arguments)
    if arguments and arguments[0].name in _OF_METHODS and arguments[0].annotation is MISSING:
        del arguments[0]
    return arguments


def _has_json(argument: Argument, binders: Binders) -> bool:
    annotation = argument.annotation
    if annotation is MISSING:
        return argument.name != "request" or argument.marker is not None
    if plain_type(annotation) not in _PLAIN and _maker_of(annotation, binders) is not None:
        return False
    kinds = (kind for kind in types_within(annotation) if isinstance(kind, type))
    return not any(issubclass(kind, PurePath | Upload) for kind in kinds)


def _maker_of(annotation: Any, binders: Binders) -> Binder | Provider | None:
    """What makes an argument of a type, if it does not come from a place; see `binding`."""
    for member in union_members(plain_type(annotation)):
        for kind in (member, typing.get_origin(member)):
            if kind is not types.NoneType and isinstance(kind, Hashable) and kind in binders:
                return binders[kind]
    return None
