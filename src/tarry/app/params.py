"""What a handler's arguments say about themselves.

An author marks where an argument comes from in one of two ways, which mean
the same: `token: Annotated[str, Header("x-token")]` or `token=Header("x-token")`;
type checkers understand the first one better.  `read_arguments` turns a
signature into a list of `Argument`, with annotations resolved, once per route.
"""

import contextlib
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import CodeType, SimpleNamespace
from typing import Annotated, Any, ClassVar, Final


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "no value"


MISSING: Final = Missing.MISSING
"""Stands where nothing was given and `None` would be a value."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Says where an argument comes from.

    `name` is what the client calls it, by default the name of the argument.
    `default` is handed over as it is if the client sends nothing.
    """

    name: str | None = None
    default: Any = MISSING

    place: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Query(Marker):
    """A parameter of the query."""

    place: ClassVar[str] = "query"


@dataclass(frozen=True, slots=True)
class Path(Marker):
    """A parameter of the path."""

    place: ClassVar[str] = "path"


@dataclass(frozen=True, slots=True)
class Header(Marker):
    """A header field; by default the argument's name with "-" for "_"."""

    place: ClassVar[str] = "header"


@dataclass(frozen=True, slots=True)
class Cookie(Marker):
    """A cookie."""

    place: ClassVar[str] = "cookie"


@dataclass(frozen=True, slots=True)
class Form(Marker):
    """A field of a form, urlencoded or multipart."""

    place: ClassVar[str] = "form"


@dataclass(frozen=True, slots=True)
class File(Marker):
    """An uploaded file of a multipart form; the type is `Upload` or `list[Upload]`."""

    place: ClassVar[str] = "file"


@dataclass(frozen=True, slots=True)
class Body(Marker):
    """The body: decoded from JSON to the annotated type, or as it is for `bytes`."""

    place: ClassVar[str] = "body"


class Cookies(dict[str, str]):
    """All cookies of a request by name; annotate an argument with it."""


class SignatureError(TypeError):
    """A function that cannot be a handler, with its place and the reason."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a handler.

    `annotation` is resolved and without markers, `MISSING` if there is none;
    `default` is `MISSING` for a required one.
    """

    name: str
    annotation: Any
    default: Any
    marker: Marker | None


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of a handler; `takes_rest` says that it has `**kwargs`."""

    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    takes_rest: bool

    def error(self, name: str, reason: str) -> SignatureError:
        """An error about the argument `name`, to be raised."""
        return _error(self.function, name, reason)


_REFUSED_KINDS: Final[Mapping[Any, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only, but arguments are given by name",
    inspect.Parameter.VAR_POSITIONAL: (
        "has nothing to fill it; if a decorator made this function, let it use functools.wraps"
    ),
}


def read_arguments(function: Callable[..., Any]) -> Signature:
    """Read what a function takes, with its annotations resolved.

    Names in string annotations are looked up in the module of the function,
    in its closure and, while the function that defines it still runs, among
    the local names there.

    Raises:
        SignatureError: an argument that cannot be given by name, an annotation
            with an unknown name, or contradicting markers or defaults.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError, NameError) as error:
        raise SignatureError(f"function {describe_function(function)}: {error}") from error
    scope = _Scope(function)
    arguments = []
    takes_rest = False
    for name, parameter in parameters.items():
        if parameter.kind in _REFUSED_KINDS:
            raise _error(function, name, _REFUSED_KINDS[parameter.kind])
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_rest = True
        else:
            arguments.append(_argument(function, parameter, scope))
    return Signature(function, tuple(arguments), takes_rest)


def _argument(
    function: Callable[..., Any], parameter: inspect.Parameter, scope: "_Scope"
) -> Argument:
    annotation = MISSING
    if parameter.annotation is not parameter.empty:
        try:
            annotation = scope.resolve(parameter.annotation)
        except Exception as error:
            reason = f"has the annotation {parameter.annotation!r}, which does not work: {error}"
            raise _error(function, parameter.name, reason) from error
    annotation, markers = _without_markers(annotation)
    default = MISSING if parameter.default is parameter.empty else parameter.default
    if (marker := _as_marker(default)) is not None:
        markers.append(marker)
        default = MISSING
    if len(markers) > 1:
        raise _error(function, parameter.name, "has two markers; keep the one you mean")
    marker = markers[0] if markers else None
    if marker is not None and marker.default is not MISSING:
        if default is not MISSING:
            raise _error(function, parameter.name, "has two defaults; keep the one you mean")
        default = marker.default
    return Argument(parameter.name, annotation, default, marker)


def _as_marker(value: object) -> Marker | None:
    if isinstance(value, type) and issubclass(value, Marker):
        return value()
    return value if isinstance(value, Marker) else None


def _without_markers(annotation: Any) -> tuple[Any, list[Marker]]:
    """Separate our markers from an `Annotated`; what others put there stays."""
    while type(annotation).__name__ == "TypeAliasType":  # `type Age = int` of Python 3.12
        annotation = annotation.__value__
    if typing.get_origin(annotation) is not Annotated:
        return annotation, []
    plain, *metadata = typing.get_args(annotation)
    markers = [marker for each in metadata if (marker := _as_marker(each)) is not None]
    others = tuple(each for each in metadata if _as_marker(each) is None)
    return (Annotated[(plain, *others)] if others else plain), markers


class _Scope:
    """The names that annotations of a function can use."""

    def __init__(self, function: Callable[..., Any]) -> None:
        plain = _plain_function(function)
        self._globals = getattr(plain, "__globals__", {})
        self._locals: dict[str, Any] = {}
        code = getattr(plain, "__code__", None)
        if code is not None:
            self._locals |= _locals_around(code)
            self._locals |= _closure_of(plain, code)

    def resolve(self, annotation: Any) -> Any:
        # `get_type_hints` takes anything with `__annotations__`; one at a time
        # lets an error name its argument.
        holder = SimpleNamespace(__annotations__={"it": annotation})
        hints = typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)
        return hints["it"]


def _closure_of(function: Any, code: CodeType) -> dict[str, Any]:
    """Names of enclosing functions that `function` uses, but those that have no value yet."""
    names: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):  # defined below the function
            names[name] = cell.cell_contents
    return names


def _locals_around(code: CodeType) -> Mapping[str, Any]:
    """Local names of the running functions inside which `code` was defined."""
    names: dict[str, Any] = {}
    inner = code
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if _holds(frame.f_code, inner):
            inner = frame.f_code
            names = {**frame.f_locals, **names}
    return names


def _holds(outer: CodeType, inner: CodeType) -> bool:
    """Whether `inner` is defined in `outer`: directly, or in the body of a class there."""
    parts = [each for each in outer.co_consts if isinstance(each, CodeType)]
    return inner in parts or any(
        not part.co_flags & inspect.CO_OPTIMIZED and _holds(part, inner) for part in parts
    )


def _plain_function(function: Callable[..., Any]) -> Any:
    """The function behind wrappers, partials, bound methods and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function):
        function = getattr(type(function), "__call__", function)  # noqa: B004 — to have it, not to ask
    return getattr(function, "__func__", function)


def describe_function(function: Callable[..., Any]) -> str:
    """Name and place of a function for messages: `user (app.py:12)`."""
    plain = _plain_function(function)
    code = getattr(plain, "__code__", None)
    name = getattr(plain, "__qualname__", None) or repr(function)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def _error(function: Callable[..., Any], name: str, reason: str) -> SignatureError:
    return SignatureError(f"function {describe_function(function)}: argument {name!r} {reason}")
