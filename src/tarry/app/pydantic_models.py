"""Pydantic, for authors who use it; Tarry itself neither needs nor imports it.

A type can only be one of its models if the author's code has imported it, so
it is taken from the modules that are loaded.  Version 2.10 or later.
"""

import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from tarry.app.faults import (
    MAX_ECHO_CHARACTERS,
    ConversionError,
    Fault,
    Faults,
    refusal,
    shortened,
)

MAX_FAULTS: Final = 100
"""How many faults of one value are told; of a long list each item can have one."""


def is_model(kind: Any) -> bool:
    """Whether a class is a model or a dataclass of Pydantic."""
    return isinstance(kind, type) and "__pydantic_decorators__" in vars(kind)


def json_validator(annotation: Any) -> Callable[[bytes], Any]:
    """What makes a value of a type from a JSON text, or raises `Faults`.

    Raises:
        TypeError: Pydantic does not know a type within.
    """
    return _telling_faults(_adapter(annotation).validate_json)


def validator(annotation: Any) -> Callable[[dict[str, Any]], Any]:
    """What makes a value of a type from values by name, or raises `Faults`.

    Raises:
        TypeError: Pydantic does not know a type within.
    """
    return _telling_faults(_adapter(annotation).validate_python)


def json_schema(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what a type is read from.

    Raises:
        TypeError: there is none.
    """
    try:
        schema: dict[str, Any] = _adapter(annotation).json_schema()
    except RuntimeError as error:  # as `PydanticUserError` is
        raise TypeError(str(error).partition("\n")[0]) from error
    return schema


class ModelField(NamedTuple):
    """A field under one of the names that clients can use.

    `reads_text` says that a validator of the author wants what was sent,
    not what it was converted to.
    """

    name: str
    annotation: Any
    reads_text: bool


def model_fields(model: Any) -> Iterator[ModelField]:
    """The fields of a model under each name; an alias that is a path is no name.

    Raises:
        TypeError: a `RootModel`, which is one value and has no names.
    """
    kind = typing.get_origin(model) or model
    if getattr(kind, "__pydantic_root_model__", False):
        raise TypeError(f"{kind.__name__} is one value and has no fields")
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    for name, field in kind.__pydantic_fields__.items():
        alias = field.validation_alias or field.alias
        names = [alias, *getattr(alias, "choices", ()), *([name] if by_name or not alias else [])]
        reads_text = _reads_text(kind, name, field.metadata)
        for each in names:
            if isinstance(each, str):
                yield ModelField(each, field.annotation, reads_text)


_AFTER: Final = {"AfterValidator", "after"}


def _reads_text(kind: Any, name: str, metadata: Iterable[Any]) -> bool:
    validators = kind.__pydantic_decorators__.field_validators.values()
    modes = {each.info.mode for each in validators if {name, "*"} & set(each.info.fields)}
    modes |= {type(each).__name__ for each in metadata if type(each).__name__.endswith("Validator")}
    return not modes <= _AFTER


def _adapter(annotation: Any) -> Any:
    try:
        return sys.modules["pydantic"].TypeAdapter(annotation)
    except RuntimeError as error:  # as `PydanticUserError` is
        raise TypeError(str(error).partition("\n")[0]) from error


def _telling_faults(validate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    refused = sys.modules["pydantic"].ValidationError

    def read(given: Any) -> Any:
        try:
            return validate(given)
        except refused as error:
            if error.error_count() > MAX_FAULTS:
                reason = f"is refused: has {error.error_count()} faults, too many to list"
                raise ConversionError(reason) from None
            raise Faults([_fault(each) for each in error.errors(**_BRIEFLY)]) from None

    return read


_BRIEFLY: Final = {"include_url": False, "include_context": False, "include_input": False}


def _fault(error: dict[str, Any]) -> Fault:
    # A place can have a member's name in it, which the client chose.
    name = ".".join(shortened(str(part), MAX_ECHO_CHARACTERS) for part in error["loc"])
    return name, "is missing" if error["type"] == "missing" else refusal(error["msg"])
