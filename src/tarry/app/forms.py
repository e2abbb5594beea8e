"""Forms as a handler gets them, and how large they may be; form_reader.py reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from tarry.app.uploads import Upload
from tarry.exchange import InThread
from tarry.message.forms import MAX_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """How much of what a form may have; beyond each the answer is 413.

    All of it is also bounded by the limit of the body.

    Raises:
        ValueError: a limit is negative, or 0 where that would refuse every form.
    """

    max_fields: int = MAX_FIELDS
    """Text fields, repeated names counted.  Django and PHP: 1 000."""

    max_files: int = 100
    """Files, empty ones counted; 0 allows none.  Each large one holds a file descriptor.
    Django: 100."""

    max_field_bytes: int = 1024 * 1024
    """One text field.  Go, busboy: 1 MiB."""

    max_memory_bytes: int = 4 * 1024 * 1024
    """All text fields together with their names; an urlencoded form as it comes.  Small files
    may take as much again; those that find no room in it go to disk, which is no error."""

    max_file_bytes: int | None = None
    """One file; `None` leaves it to the limit of the body."""

    max_part_head_bytes: int = 8 * 1024
    """All header lines of one part.  Names of 255 characters, percent-encoded and twice
    (`filename` and `filename*`), need 5 KiB."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "max_files" else 1
            if value is not None and value < least:
                raise ValueError(f"{field.name} must be at least {least}, not {value}")


class FormData(Mapping[str, str]):
    """A form: its text fields as a mapping, each with its first value, and its files.

    `fields` has every value of each name, `files` every upload; a file input
    in which nothing was chosen is not there.  `close` closes the files.
    """

    __slots__ = ("fields", "files")

    def __init__(
        self,
        fields: dict[str, list[str]] | None = None,
        files: dict[str, list[Upload]] | None = None,
    ) -> None:
        self.fields = {} if fields is None else fields
        self.files = {} if files is None else files

    def getall(self, name: str) -> list[str]:
        """Every value of a text field in order, `[]` for an absent one."""
        return list(self.fields.get(name, ()))

    def file(self, name: str) -> Upload | None:
        """The first file of a name, or `None`."""
        return next(iter(self.files.get(name, ())), None)

    def close(self) -> None:
        """Close every file; again does nothing.  May block, see `close_async`."""
        for upload in self._uploads():
            upload.close()

    async def close_async(self, in_thread: InThread) -> None:
        """Close every file, in a thread if some lie on disk, where a GiB takes 50 ms."""
        try:
            if not all(upload.in_memory for upload in self._uploads()):
                await in_thread(self.close)
        finally:
            self.close()

    def _uploads(self) -> Iterator[Upload]:
        return (upload for uploads in self.files.values() for upload in uploads)

    def __getitem__(self, name: str) -> str:
        return self.fields[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __repr__(self) -> str:
        return f"FormData({self.fields!r}, {self.files!r})"
