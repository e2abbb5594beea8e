from __future__ import annotations

import os
import stat

import pytest

from tarry.client import RequestFailed
from tests.client.scripted import (
    RESET,
    TICKET,
    Scripted,
    answer,
    document,
    events,
    json_answer,
    ticket,
)

# ---- what an answer is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("object", {"ok": True}),
        ("list", [1, 2]),
        ("text", "täxt"),
        ("bytes", b"\0\1"),
        ("none", None),
        ("latin", "täxt"),
        ("unknown", "täxt"),
        ("problem", {"a": 1}),
        ("untyped", b"abc"),
        ("empty", ""),
    ],
)
def test_an_answer_is_what_its_type_says(server, ask, kind, value):
    assert ask(f"{server.url}/answer/{kind}") == value


@pytest.mark.parametrize("kind", ["broken", "deep"])
def test_json_that_cannot_be_read_is_an_error(server, ask, kind):
    with pytest.raises(RequestFailed, match="is no JSON") as caught:
        ask(f"{server.url}/answer/{kind}")
    assert (caught.value.status, caught.value.state) == (200, "failed")


@pytest.mark.parametrize(("path", "value"), [("/echo", None), ("/answer/text", "")])
def test_the_answer_to_head_is_empty(server, ask, path, value):
    assert ask(server.url + path, method="HEAD") == value


def test_json_without_a_byte_is_an_error(ask):
    with Scripted(json_answer(200, b"")) as scripted, pytest.raises(RequestFailed, match="no JSON"):
        ask(scripted.url)


def test_an_answer_may_end_with_its_connection(ask):
    with Scripted(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nwhole") as scripted:
        assert ask(scripted.url) == "whole"


def test_an_answer_may_come_in_chunks(ask):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Scripted(head + b"3\r\nabc\r\n", (head, b"3\r\nab", b"c\r\n0\r\n\r\n")) as scripted:
        assert ask(scripted.url) == "abc"
    assert len(ask.pauses) == 1


# ---- limits ----------------------------------------------------------------------------------


def test_max_bytes_are_taken_and_one_more_is_not(ask):
    with Scripted(answer(200, b"abcd"), answer(200, b"abcde")) as scripted:
        assert ask(scripted.url, max_bytes=4) == b"abcd"
        with pytest.raises(RequestFailed, match="more than 4 bytes; save_to="):
            ask(scripted.url, max_bytes=4)


def test_a_result_that_is_too_large_can_be_asked_for_again(server, ask, tmp_path):
    with pytest.raises(RequestFailed, match="more than 10 bytes") as caught:
        ask(
            f"{server.url}/slow", max_bytes=10, on_progress=lambda _: server.wait.wake("x" * 20_000)
        )

    ask(caught.value.ticket, save_to=tmp_path / "large")
    assert (tmp_path / "large").stat().st_size == 20_002


@pytest.mark.parametrize(("more", "revs"), [(0, [1, 2]), (1, [1])])
def test_a_document_of_a_mebibyte_is_taken_and_one_byte_more_is_not(ask, more, revs):
    told = document(2, note="")
    text = b"x" * (1024 * 1024 - len(told) + more)
    large = json_answer(200, told.replace(b'"note": ""', b'"note": "%s"' % text))
    end = [answer(303, location=f"{TICKET}/result"), json_answer(200, b"1")]
    with Scripted(ticket(), answer(204), large, *end) as scripted:
        assert ask(scripted.url) == 1

    assert [each.rev for each in ask.news] == revs


# ---- files -----------------------------------------------------------------------------------


def test_an_answer_is_saved_as_it_came_whatever_its_type(server, ask, tmp_path):
    file = tmp_path / "answer"

    assert ask(f"{server.url}/answer/problem", save_to=str(file)) == file
    assert file.read_bytes() == b'{"a":1}'
    assert ask(f"{server.url}/answer/none", save_to=file) == file
    assert file.read_bytes() == b""


def test_the_value_of_a_ticket_is_saved_too(server, ask, tmp_path):
    file = tmp_path / "value"
    ask(f"{server.url}/slow", save_to=file, on_progress=lambda _: server.wait.wake({"a": 1}))

    assert file.read_bytes() == b'{"a":1}'


def test_a_saved_answer_may_be_larger_than_what_is_kept_in_memory(server, ask, tmp_path):
    file = tmp_path / "answer"

    assert ask(f"{server.url}/answer/text", save_to=file, max_bytes=1).read_text() == "täxt"


def test_a_file_is_there_when_it_is_whole_and_not_before(ask, tmp_path):
    file = tmp_path / "answer"
    file.write_text("before")
    seen = []
    ask.on_pause = lambda: seen.append(file.read_text())
    broken = (answer(200, b"ab", length=5), RESET)
    with Scripted(broken, answer(200, b"whole")) as scripted:
        ask(scripted.url, save_to=file)

    assert seen == ["before"]
    assert file.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_stays_as_it_was_when_there_is_no_answer(server, ask, tmp_path):
    file = tmp_path / "answer"
    file.write_text("before")
    with pytest.raises(RequestFailed):
        ask(f"{server.url}/refused", save_to=file)

    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_may_be_read_by_whom_the_user_lets(server, ask, tmp_path):
    before = os.umask(0o027)
    try:
        ask(f"{server.url}/answer/text", save_to=tmp_path / "answer")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "answer").stat().st_mode) == 0o640


@pytest.mark.parametrize("place", ["", "missing/answer"])
def test_a_place_that_cannot_be_written_is_an_error_before_anything_is_asked(
    server, ask, tmp_path, place
):
    with pytest.raises(OSError, match=str(tmp_path)):
        ask(f"{server.url}/answer/text", save_to=tmp_path / place)

    assert server.requests == []


def test_a_disk_that_is_full_is_no_broken_connection(ask):
    with Scripted(answer(200, b"x" * 100_000)) as scripted:
        with pytest.raises(OSError, match="/dev/full"):
            ask(scripted.url, save_to="/dev/full/answer")
        assert ask.pauses == []


# ---- what broke off --------------------------------------------------------------------------


def part(body, first, total, etag='"1"'):
    return answer(206, body, content_range=f"bytes {first}-{total - 1}/{total}", etag=etag)


def broken(body, total, etag='"1"'):
    return answer(200, body, length=total, etag=etag)


@pytest.mark.parametrize("saves", [False, True])
def test_only_the_rest_of_what_broke_off_is_asked_for(ask, tmp_path, saves):
    steps = [broken(b"ab", 6), answer(206, b"c", 4, content_range="bytes 2-5/6", etag='"1"')]
    with Scripted(*steps, part(b"def", 3, 6)) as scripted:
        options = {"save_to": tmp_path / "answer"} if saves else {}
        got = ask(scripted.url, **options)

    assert (got.read_bytes() if saves else got) == b"abcdef"
    asked = [(each.headers["range"], each.headers["if-range"]) for each in scripted.requests]
    assert asked == [(None, None), ("bytes=2-", '"1"'), ("bytes=3-", '"1"')]


def test_the_rest_of_a_result_is_asked_for_too(ask):
    done = events(("done", document(9, "done")))
    with Scripted(ticket(), done, broken(b"ab", 4), part(b"cd", 2, 4)) as scripted:
        assert ask(scripted.url, {"a": 1}) == b"abcd"
    assert scripted.requests[-1].headers["range"] == "bytes=2-"


@pytest.mark.parametrize(
    "second",
    [
        broken(b"other!", 6, '"2"'),
        part(b"xx", 4, 6),
        part(b"xxxx", 2, 6, '"2"'),
        answer(206, b"xxxx"),
        answer(416),
    ],
)
def test_what_is_not_the_rest_does_not_go_to_its_place(ask, second):
    with Scripted(broken(b"ab", 6), second, answer(200, b"other!")) as scripted:
        assert ask(scripted.url) == b"other!"


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_without_a_strong_tag_all_is_asked_for_again(ask, etag):
    with Scripted(broken(b"ab", 6, etag), answer(200, b"abcdef")) as scripted:
        assert ask(scripted.url) == b"abcdef"
    assert scripted.requests[1].headers["range"] is None


def test_a_range_of_the_caller_is_left_alone(ask):
    first = answer(206, b"ab", 4, content_range="bytes 5-8/9", etag='"1"')
    with Scripted(first, part(b"abcd", 5, 9)) as scripted:
        assert ask(scripted.url, headers={"Range": "bytes=5-"}) == b"abcd"
    assert [each.headers["range"] for each in scripted.requests] == ["bytes=5-"] * 2


def test_what_breaks_off_at_the_same_place_for_ever_is_given_up(ask):
    with Scripted(*[answer(200, b"ab", length=6)] * 40) as scripted:
        with pytest.raises(RequestFailed, match="broke off") as caught:
            ask(scripted.url, away=60)
        assert caught.value.state == "unreachable"


def test_what_gets_on_between_breaks_is_not_given_up(ask):
    body = b"x" * 30
    steps = [broken(body[:1], 30)]
    for n in range(1, 30):
        fields = {"content_range": f"bytes {n}-29/30", "etag": '"1"'}
        steps.append(answer(206, body[n : n + 1], 30 - n, **fields))
    with Scripted(*steps) as scripted:
        assert ask(scripted.url, away=1) == body
    assert sum(ask.pauses) > 3


def test_a_result_is_asked_for_where_the_ticket_is(ask):
    done = events(("done", document(9, "done")))
    with Scripted(ticket(), done, answer(303, location="/files/1"), answer(200, b"a")) as scripted:
        assert ask(scripted.url) == b"a"
    assert [each.target for each in scripted.requests[2:]] == [f"{TICKET}/result", "/files/1"]
