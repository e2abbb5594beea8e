"""What a job is to do, as a store keeps it: its name and its arguments, never pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tarry.app.spool import Spool
from tarry.app.uploads import Upload
from tarry.message.headers import Headers
from tarry.message.multipart import PartHead
from tarry.waiting.records import decoded
from tarry.waiting.values import value_type

UPLOADS: Final = (Upload, list[Upload])

NOT_JSON: Final = (bytes, *UPLOADS)
"""Types of arguments that an order keeps in another form than JSON."""


class JsonArgument(msgspec.Struct, frozen=True, array_like=True, tag="json"):
    """An argument as JSON, read again by the type of its parameter."""

    data: bytes


class RawArgument(msgspec.Struct, frozen=True, array_like=True, tag="raw"):
    """Bytes as they are."""

    data: bytes


class FileArgument(msgspec.Struct, frozen=True, array_like=True, tag="file"):
    """An upload, which lies in the folder of the job under a name of its own."""

    path: str
    filename: str
    content_type: str


class FilesArgument(msgspec.Struct, frozen=True, array_like=True, tag="files"):
    """Several uploads."""

    files: tuple[FileArgument, ...]


Argument = JsonArgument | RawArgument | FileArgument | FilesArgument


class Order(msgspec.Struct, frozen=True, array_like=True):
    """One job that was ordered: of which kind, as `module:function`, and with what.

    `cache_key` is where its result is kept for others who ask for the same.
    """

    job: str
    arguments: dict[str, Argument]
    cache_key: str | None = None


encode_order: Final = msgspec.msgpack.Encoder().encode
_order: Final = msgspec.msgpack.Decoder(Order).decode


def decode_order(data: bytes) -> Order:
    """An order from a store; raises what `decoded` does."""
    return decoded(_order, data, "an order")


def argument(annotation: Any, value: Any) -> JsonArgument | RawArgument:
    """An argument as it is kept; uploads are kept by `kept_upload`.

    Raises:
        BadValue: it does not fit its annotation, or has no form in JSON.
    """
    if value is None and annotation in NOT_JSON:
        return JsonArgument(b"null")
    if annotation is bytes:
        return RawArgument(bytes(value))
    kind = value_type(annotation)
    data = kind.write(value)
    kind.read(data)
    return JsonArgument(data)


def kept_upload(upload: Upload, folder: Path, name: str) -> FileArgument:
    """An upload, saved for as long as the job needs it.  Blocks."""
    # Hidden, as the job makes files in this folder, and may well name one as its argument.
    path = upload.save(folder / f".upload-{name}")
    return FileArgument(str(path), upload.client_filename, upload.content_type)


def read_arguments(order: Order, annotations: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an order for a function with these annotations.  May read from disk.

    Raises:
        BadValue: the function has changed since, and takes something else.
        OSError: an upload is no longer there.
    """
    return {name: _read(annotations.get(name, Any), kept) for name, kept in order.arguments.items()}


def _read(annotation: Any, kept: Argument) -> Any:
    if isinstance(kept, JsonArgument):
        # Of these only `None` is kept in this form.
        return None if annotation in NOT_JSON else value_type(annotation).read(kept.data)
    if isinstance(kept, RawArgument):
        return kept.data
    if isinstance(kept, FileArgument):
        return _opened(kept)
    return [_opened(file) for file in kept.files]


def _opened(file: FileArgument) -> Upload:
    head = PartHead("", file.filename, file.content_type, Headers())
    return Upload(head, Spool.of(Path(file.path)))
