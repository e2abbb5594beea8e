"""Forms as values, and their limits."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from tarry.app.forms import FormData, FormLimits
from tarry.app.spool import SPOOL_BYTES, Spool, UploadClosed
from tarry.app.uploads import Upload
from tarry.message.headers import Headers
from tarry.message.multipart import PartHead


def upload(content):
    spool = Spool()
    if spool.add(content):
        spool.write_out()
    spool.finish()
    return Upload(PartHead("f", "name", None, Headers()), spool)


def test_a_form_is_a_mapping_of_its_text_fields():
    form = FormData({"a": ["1", "2"], "b": [""]})

    assert form["a"] == form.get("a") == "1"
    assert form.get("c") is None
    assert form.get("c", "default") == "default"
    assert form.getall("a") == ["1", "2"]
    assert form.getall("c") == []
    assert dict(form) == {"a": "1", "b": ""}
    assert (len(form), list(form), "a" in form, "c" in form) == (2, ["a", "b"], True, False)
    assert form == {"a": "1", "b": ""}
    assert repr(form) == "FormData({'a': ['1', '2'], 'b': ['']}, {})"
    with pytest.raises(KeyError):
        form["c"]
    form.getall("a").append("3")
    assert form.fields["a"] == ["1", "2"]


def test_the_first_file_of_a_name_is_at_hand():
    first, second = upload(b"1"), upload(b"2")
    form = FormData(files={"f": [first, second]})

    assert form.file("f") is first
    assert form.file("g") is None
    assert len(form) == 0


@pytest.mark.parametrize("size_bytes", [1, SPOOL_BYTES + 1])
def test_close_closes_every_file(size_bytes):
    uploads = [upload(b"x" * size_bytes) for _ in range(3)]
    form = FormData(files={"f": uploads[:2], "g": uploads[2:]})

    form.close()
    form.close()

    for each in uploads:
        with pytest.raises(UploadClosed):
            each.read()


@pytest.mark.parametrize(("size_bytes", "calls"), [(1, 0), (SPOOL_BYTES + 1, 1)])
def test_only_files_on_disk_are_closed_in_a_thread(size_bytes, calls):
    called = []

    async def in_thread(function, *arguments):
        called.append(function)
        return await asyncio.to_thread(function, *arguments)

    large = upload(b"x" * size_bytes)
    asyncio.run(FormData(files={"f": [upload(b""), large]}).close_async(in_thread))

    assert len(called) == calls
    with pytest.raises(UploadClosed):
        large.read()


def test_without_a_thread_files_are_closed_all_the_same():
    async def in_thread(function, *arguments):
        raise RuntimeError("the server has stopped")

    large = upload(b"x" * (SPOOL_BYTES + 1))
    with pytest.raises(RuntimeError, match="stopped"):
        asyncio.run(FormData(files={"f": [large]}).close_async(in_thread))

    with pytest.raises(UploadClosed):
        large.read()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(FormLimits)])
def test_limits_are_checked(name):
    least = 0 if name == "max_files" else 1

    assert getattr(FormLimits(**{name: least}), name) == least
    with pytest.raises(ValueError, match=f"{name} must be at least {least}, not {least - 1}"):
        FormLimits(**{name: least - 1})
