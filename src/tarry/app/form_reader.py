"""Reading forms: bytes in, a `FormData` out, within limits and with large files on disk."""

from collections.abc import AsyncIterator
from typing import Final

from tarry.app.errors import HttpError
from tarry.app.forms import FormData, FormLimits
from tarry.app.spool import Spool
from tarry.app.uploads import Upload
from tarry.exchange import InThread
from tarry.message.forms import FORM_TYPES, FormError, FormTooLarge, UrlencodedReader, form_type
from tarry.message.multipart import Event, MultipartReader, PartHead, decode_text

_INLINE_BYTES: Final = 32 * 1024
"""Up to this size an urlencoded form is decoded on the loop: 10 ms at worst, measured."""


async def read_form(
    content_type: str, pieces: AsyncIterator[bytes], limits: FormLimits, in_thread: InThread
) -> FormData:
    """Read a form of either kind; the caller closes it when the request is over.

    Only `in_thread` writes to disk.  Whatever ends it early, the files read so
    far are closed, and nothing more is read.

    Raises:
        HttpError: 400 for a malformed form, 413 as soon as a limit is passed,
            415 for what is no form or not in UTF-8.
        OSError: the directory for temporary files takes no more.
    """
    try:
        kind = form_type(content_type)
        if kind is None:
            raise not_a_form()
        if kind.kind == "urlencoded":
            return await _read_urlencoded(pieces, limits, in_thread)
        return await _read_multipart(kind.boundary, pieces, limits, in_thread)
    except FormError as error:
        raise HttpError(error.status, str(error)) from None


def not_a_form() -> HttpError:
    # RFC 9110 section 15.5.16: Accept says what would have been taken.
    accept = ", ".join(FORM_TYPES)
    return HttpError(415, f"the body has to be one of {accept}", headers=[("accept", accept)])


async def _read_urlencoded(
    pieces: AsyncIterator[bytes], limits: FormLimits, in_thread: InThread
) -> FormData:
    reader = UrlencodedReader(max_fields=limits.max_fields, max_bytes=limits.max_memory_bytes)
    async for piece in pieces:
        reader.receive_data(piece)
    large = reader.size_bytes > _INLINE_BYTES
    form = FormData(await in_thread(reader.finish) if large else reader.finish())
    if reader.size_bytes > limits.max_field_bytes:
        for values in form.fields.values():
            for value in values:
                _check_field(len(value.encode()), limits)
    return form


def _check_field(size_bytes: int, limits: FormLimits) -> None:
    _check(size_bytes, limits.max_field_bytes, "a field of the form is over {} bytes")


async def _read_multipart(
    boundary: bytes, pieces: AsyncIterator[bytes], limits: FormLimits, in_thread: InThread
) -> FormData:
    reader = MultipartReader(
        boundary,
        max_parts=limits.max_fields + limits.max_files,
        max_part_head_bytes=limits.max_part_head_bytes,
    )
    builder = _Builder(limits, in_thread)
    try:
        async for piece in pieces:
            for event in reader.receive_data(piece):
                await builder.take(event)
        reader.finish()
    except BaseException:
        await builder.give_up()
        raise
    return builder.form


class _Builder:
    """Makes a form of the events of a multipart body."""

    __slots__ = ("_fields", "_files", "_part", "field_room_bytes", "file_room_bytes", "form",
                 "in_thread", "limits")  # fmt: skip

    def __init__(self, limits: FormLimits, in_thread: InThread) -> None:
        self.limits = limits
        self.in_thread = in_thread
        self.form = FormData()
        self.field_room_bytes = self.file_room_bytes = limits.max_memory_bytes
        self._fields = self._files = 0
        self._part: _Field | _File

    async def take(self, event: Event) -> None:
        if isinstance(event, bytes):
            await self._part.add(event)
        elif isinstance(event, PartHead):
            self._part = self._begin(event)
        else:
            await self._part.end()

    async def give_up(self) -> None:
        await self.form.close_async(self.in_thread)

    def _begin(self, head: PartHead) -> "_Field | _File":
        if head.filename is None:
            self._fields += 1
            _check(self._fields, self.limits.max_fields, "the form has more than {} fields")
            return _Field(self, head)
        self._files += 1
        _check(self._files, self.limits.max_files, "the form has more than {} files")
        return _File(self, head)


class _Field:
    """A text field under way."""

    __slots__ = ("_builder", "_content", "_head")

    def __init__(self, builder: _Builder, head: PartHead) -> None:
        self._builder = builder
        self._head = head
        self._content = bytearray()
        self._use_room(len(head.name.encode()))

    async def add(self, piece: bytes) -> None:
        _check_field(len(self._content) + len(piece), self._builder.limits)
        self._use_room(len(piece))
        self._content += piece

    def _use_room(self, size_bytes: int) -> None:
        self._builder.field_room_bytes -= size_bytes
        if self._builder.field_room_bytes < 0:
            most = self._builder.limits.max_memory_bytes
            raise FormTooLarge(f"the fields of the form are together over {most} bytes")

    async def end(self) -> None:
        text = decode_text(self._head, self._content)
        self._builder.form.fields.setdefault(self._head.name, []).append(text)


class _File:
    """A file under way; it stands in the form from its beginning, so that it will be closed."""

    __slots__ = ("_builder", "_head", "_spool")

    def __init__(self, builder: _Builder, head: PartHead) -> None:
        self._builder = builder
        self._head = head
        self._spool = Spool()
        upload = Upload(head, self._spool, builder.in_thread)
        builder.form.files.setdefault(head.name, []).append(upload)

    async def add(self, piece: bytes) -> None:
        most = self._builder.limits.max_file_bytes
        if most is not None:
            _check(self._spool.size_bytes + len(piece), most, "a file is over {} bytes")
        if self._spool.add(piece):
            await self._builder.in_thread(self._spool.write_out)

    async def end(self) -> None:
        if not self._head.filename and not self._spool.size_bytes:
            self._leave_out()
            return
        if not self._spool.in_memory or self._spool.size_bytes > self._builder.file_room_bytes:
            await self._builder.in_thread(self._spool.write_out)
        else:
            self._builder.file_room_bytes -= self._spool.size_bytes
        self._spool.finish()

    def _leave_out(self) -> None:
        # So browsers send a file input in which nothing was chosen (HTML, "constructing the
        # entry list").
        files = self._builder.form.files
        files[self._head.name].pop()
        if not files[self._head.name]:
            del files[self._head.name]


def _check(count: int, most: int, reason: str) -> None:
    if count > most:
        raise FormTooLarge(reason.format(most))
