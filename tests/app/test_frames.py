"""An error read: what came of what, each frame once too often at most, no repr that hurts."""

from __future__ import annotations

import textwrap

import pytest

from tarry.app import frames
from tarry.app.frames import SourceLine, read_failures, short_repr
from tarry.app.redaction import HIDDEN


def raised(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError


def failed(text, path=None, **names):
    """The newest frame of an error in some source, which has a file if there is a path."""
    source = textwrap.dedent(text).strip("\n")
    if path is not None:
        path.write_text(source, "utf-8")
    code = compile(source, str(path or "<nowhere>"), "exec")
    error = raised(exec, code, names)
    return read_failures(error)[0].frames[0]


def marked(frame):
    """The failing line of a frame, with its mark in brackets."""
    (line,) = (line for line in frame.source if line.mark is not None)
    begin, end = line.mark
    return f"{line.text[:begin]}[{line.text[begin:end]}]{line.text[end:]}"


# ── what came of what ─────────────────────────────────────────────────────────────────────


def described(error):
    return [(each.relation, each.kind, each.text) for each in read_failures(error)]


def test_an_error_alone():
    error = ValueError("text")

    assert described(error) == [("", "ValueError", "text")]
    assert read_failures(error)[0].frames == ()


def test_causes_come_before_contexts_and_can_be_hidden():
    def chain():
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise ValueError("second")  # noqa: B904 — for its context
        except ValueError as error:
            raise RuntimeError("third") from error

    assert described(raised(chain)) == [
        ("", "RuntimeError", "third"),
        ("Raised because of", "ValueError", "second"),
        ("Raised while handling", "KeyError", "'first'"),
    ]

    def hidden():
        try:
            raise KeyError
        except KeyError:
            raise ValueError("alone") from None

    assert described(raised(hidden)) == [("", "ValueError", "alone")]


def test_groups_tell_their_parts_before_their_cause():
    group = ExceptionGroup("all", [ValueError("1"), ExceptionGroup("in", [KeyError(2)])])
    group.__cause__ = OSError("cause")

    assert [(relation, kind) for relation, kind, _ in described(group)] == [
        ("", "ExceptionGroup"),
        ("1 of 2 in this group", "ValueError"),
        ("2 of 2 in this group", "ExceptionGroup"),
        ("1 of 1 in this group", "KeyError"),
        ("Raised because of", "OSError"),
    ]


def test_circles_and_long_chains_end():
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    assert len(read_failures(one)) == 2

    first = error = ValueError()
    for _ in range(frames.MAX_FAILURES):
        error.__cause__ = ValueError()
        error = error.__cause__
    assert len(read_failures(first)) == frames.MAX_FAILURES
    error.__cause__ = None
    assert len(read_failures(first.__cause__)) == frames.MAX_FAILURES


def test_notes_and_texts_are_limited_and_survived():
    class Odd(Exception):
        def __str__(self):
            raise KeyError

    error = Odd()
    error.add_note("note")
    error.__notes__ += ["x" * 9999] * 20
    (failure,) = read_failures(error)

    assert failure.text == "(its text cannot be shown: KeyError)"
    assert failure.notes[0] == "note"
    assert len(failure.notes) == frames.MAX_NOTES
    assert len(failure.notes[1]) == frames.MAX_TEXT_CHARS
    error.__notes__ = 5
    assert read_failures(error)[0].notes == ()


# ── frames ────────────────────────────────────────────────────────────────────────────────


def test_the_newest_frame_comes_first():
    def outer():
        inner()

    def inner():
        return 1 // 0

    (failure,) = read_failures(raised(outer))
    names = [frame.function.rpartition(".")[2] for frame in failure.frames]

    assert names == ["inner", "outer", "raised"]
    assert all(frame.file == __file__ and frame.is_own for frame in failure.frames)


def test_frames_of_libraries_are_not_own():
    (failure,) = read_failures(raised(textwrap.dedent, 5))

    assert [frame.is_own for frame in failure.frames] == [False, True]


@pytest.mark.parametrize("period", [1, 2, 3])
def test_endless_recursion_shows_its_last_rounds(period):
    names: dict = {}
    for number in range(period):
        exec(f"def step{number}(): step{(number + 1) % period}()", names)
    (failure,) = read_failures(raised(names["step0"]))
    *shown, left_out, last = failure.frames

    assert [frame.function for frame in shown[period:]] == [
        frame.function for frame in shown[:-period]
    ]
    assert len(shown) == frames.MAX_REPEATS * period
    assert left_out > 500
    assert last.function == "raised"


def test_many_different_frames_are_limited():
    names: dict = {"f0": lambda: 1 // 0}
    for number in range(1, 100):
        exec(f"def f{number}(): f{number - 1}()", names)
    (failure,) = read_failures(raised(names["f99"]))

    assert len(failure.frames) == frames.MAX_FRAMES + 1
    assert failure.frames[-1] == 100 + len(["raised"]) - frames.MAX_FRAMES


# ── source ────────────────────────────────────────────────────────────────────────────────


def test_the_failing_line_with_two_around_it(tmp_path):
    frame = failed("a = 1\nb = 2\nc = 3\nd = a.x + b\ne = 5\nf = 6\ng = 7", tmp_path / "app.py")

    assert [line.number for line in frame.source] == [2, 3, 4, 5, 6]
    assert frame.source[0] == SourceLine(2, "b = 2")
    assert marked(frame) == "d = [a.x] + b"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("1 // 0", "[1 // 0]"),
        ("\n\n1 // 0\n", "[1 // 0]"),
        ("if 1:\n    if 1:\n        x = 1 // 0", "        x = [1 // 0]"),
        ("if 1:\n\n\n    if 1:\n        x = 1 // 0", "    x = [1 // 0]"),
        ("if 1:\n\n\n\n\tx = 1 // 0", "x = [1 // 0]"),
        ("x = 'Grüße' + ('ü', 1 // 0)[0]", "x = 'Grüße' + ('ü', [1 // 0])[0]"),
        ("x = (1 //\n 0)", "x = ([1 //]"),
        ("x = 1 // 0  # a comment", "x = [1 // 0]  # a comment"),
    ],
)
def test_what_failed_is_marked_in_its_columns(tmp_path, source, line):
    assert marked(failed(source, tmp_path / "app.py")) == line


def test_long_lines_are_cut(tmp_path):
    frame = failed(f"x = ['{'x' * 300}', 1 // 0]\ny = '{'y' * 300}'", tmp_path / "app.py")

    assert [len(line.text) for line in frame.source] == [frames.MAX_REPR_CHARS] * 2
    assert marked(frame).endswith("…[]")


def test_code_without_a_file_has_no_source():
    assert failed("1 // 0").source == ()


def test_a_file_that_became_shorter_has_no_failing_line(tmp_path):
    path = tmp_path / "app.py"
    path.write_text("\n" * 8 + "1 // 0")
    error = raised(exec, compile(path.read_text(), str(path), "exec"), {})
    path.write_text("x = 1")

    assert read_failures(error)[0].frames[0].source == ()


# ── variables ─────────────────────────────────────────────────────────────────────────────


class Hurts:
    def __repr__(self):
        raise KeyError("in repr")


class Exits:
    def __repr__(self):
        raise SystemExit(3)


class Wrong:
    def __repr__(self):
        return 5


def test_variables_by_name_without_secrets():
    frame = failed("1 // 0", name="ada", password="x", login={"user": "ada", "api_key": "x"})

    assert frame.variables == (
        ("name", "'ada'"),
        ("password", HIDDEN),
        ("login", "{'api_key': •••, 'user': 'ada'}"),
    )


def test_variables_are_limited():
    frame = failed("1 // 0", **{f"v{number}": number for number in range(100)})

    assert len(frame.variables) == frames.MAX_VARIABLES


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Hurts(), "(Hurts, whose repr raised KeyError)"),
        ([Exits()], "[(Exits, whose repr raised SystemExit)]"),
        (Wrong(), "(Wrong, whose repr raised TypeError)"),
        pytest.param(10**5000, "(its repr raised ValueError)", id="digits"),
        ({"a": {"token": "x"}}, "{'a': {'token': •••}}"),
        ("x" * 300, "'" + "x" * 198 + "…"),
        (b"x" * 10**7, "b'" + "x" * 197 + "…"),
        (bytearray(b"x"), "bytearray(b'x')"),
        ("\ud800\x1b", r"'\ud800\x1b'"),
    ],
)
def test_reprs_are_short_and_survived(value, shown):
    assert short_repr(value) == shown


@pytest.mark.parametrize("size", [201, 10**6])
@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys])
def test_big_containers_have_short_reprs(kind, size):
    assert len(short_repr(kind(range(size)))) <= frames.MAX_REPR_CHARS


def test_a_cut_does_not_part_a_secret_from_its_name():
    class Form:
        def __repr__(self):
            return f"Form(text='{'x' * 150}', password='{'S' * 5000}')"

    assert short_repr(Form()).endswith(f"password={HIDDEN}")
    assert "S" not in short_repr(Form())
