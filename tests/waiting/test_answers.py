"""Answers that are kept: what is restored is answered as the first one was."""

from __future__ import annotations

import pytest

from tarry import Headers, Html, Response, SendFile, Stream
from tarry.app.results import ResultError, answer_for
from tarry.waiting.answers import kept, restored
from tarry.waiting.records import decode_answer, encode


def again(result):
    """The result after it has been kept."""
    return restored(decode_answer(encode(kept(result))))


@pytest.mark.parametrize(
    "result",
    [
        "text",
        b"bytes",
        {"a": 1},
        Html("<p>"),
        None,
        204,
        (404,),
        (201, {"a": 1}, Headers({"x-a": "1"})),
        Response(b"", headers={"content-type": "application/x"}),
    ],
    ids=repr,
)
def test_an_answer_is_the_same_when_it_has_been_kept(result):
    head, body = answer_for(result)
    head_again, body_again = answer_for(again(result))

    assert (head_again.status, body_again) == (head.status, body)
    assert sorted(head_again.fields) == sorted(head.fields)


def test_a_file_is_the_same_when_it_has_been_kept():
    file = SendFile(
        "/srv/plan.pdf",
        content_type="application/x",
        download="a.pdf",
        status=203,
        headers={"x-a": "1"},
        max_age_s=60,
        etag=False,
    )
    restored_file = again(file)

    for name in SendFile.__slots__:
        if name != "headers":
            assert getattr(restored_file, name) == getattr(file, name), name
    assert [*restored_file.headers.items()] == [*file.headers.items()]


def test_a_file_is_found_again_from_another_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    answer = kept(SendFile("plan.pdf"))
    monkeypatch.chdir("/")

    assert restored(answer).path == str(tmp_path / "plan.pdf")


def test_what_was_kept_by_an_older_version_can_be_read():
    file = kept(SendFile("plan.pdf", max_age_s=60))
    fields = [getattr(file, name) for name in file.__struct_fields__]

    assert decode_answer(encode(["file", *fields[:5]])).max_age_s is None


def test_a_stream_cannot_be_kept():
    with pytest.raises(ResultError, match="stream"):
        kept(Stream(["a"]))
