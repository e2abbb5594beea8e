from __future__ import annotations

import os

import pytest

from tarry.commands.cli import main
from tarry.version import VERSION
from tarry.waiting.scripts import script


@pytest.fixture
def mirror(capsys):
    """Runs the command: its status, the lines it prints, and what it prints as an error."""

    def run(*arguments):
        status = main(["mirror-js", *map(str, arguments)])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return run


def body(path):
    """A copy without its first line."""
    return path.read_bytes().partition(b"\n")[2]


def test_a_folder_gets_module_and_types(mirror, tmp_path):
    assert mirror(tmp_path) == (0, [str(tmp_path / "tarry.js"), str(tmp_path / "tarry.d.ts")], "")

    for name in ("tarry.js", "tarry.d.ts"):
        assert (tmp_path / name).read_text().startswith(f"// {name} of Tarry {VERSION}, copied by ")
        assert body(tmp_path / name) == script(name)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_classic_script_has_the_same_types(mirror, tmp_path):
    assert mirror("--classic", tmp_path)[0] == 0

    assert sorted(path.name for path in tmp_path.iterdir()) == ["tarry.classic.js", "tarry.d.ts"]
    assert body(tmp_path / "tarry.classic.js") == script("tarry.classic.js")


@pytest.mark.parametrize(("name", "types"), [("x.js", "x.d.ts"), ("x.y.mjs", "x.y.d.mts")])
def test_a_file_gets_its_types_beside_it_and_its_folder(mirror, tmp_path, name, types):
    folder = tmp_path / "a" / "b"

    assert mirror(folder / name) == (0, [str(folder / name), str(folder / types)], "")
    assert body(folder / name) == script("tarry.js")
    assert body(folder / types) == script("tarry.d.ts")


def test_a_folder_that_is_called_like_a_script_is_a_folder(mirror, tmp_path):
    folder = tmp_path / "three.js"
    folder.mkdir()
    mirror(folder)

    assert (folder / "tarry.js").is_file()


def test_a_copy_is_replaced_by_a_newer_one(mirror, tmp_path):
    mirror(tmp_path)
    old = tmp_path / "tarry.js"
    old.write_bytes(old.read_bytes().replace(VERSION.encode(), b"0.0.1")[:200])

    assert mirror(tmp_path)[0] == 0
    assert body(old) == script("tarry.js")


@pytest.mark.parametrize("name", ["tarry.js", "tarry.d.ts"])
@pytest.mark.parametrize("content", [b"", b"export {}\n", b"\xff\xfe\n"])
def test_a_file_of_somebody_else_stays_and_nothing_is_written(mirror, tmp_path, name, content):
    own = tmp_path / name
    own.write_bytes(content)

    status, out, err = mirror(tmp_path)
    assert (status, out) == (1, [])
    assert err == f"tarry: {own} is there and is no copy of mirror-js; --force overwrites it\n"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [content]

    assert mirror("--force", tmp_path)[0] == 0
    assert body(own) == script(name)


def test_what_cannot_be_written_is_told_in_one_line_and_leaves_nothing(mirror, tmp_path):
    (tmp_path / "file").touch()
    status, out, err = mirror(tmp_path / "file")
    assert (status, out) == (1, [])
    assert err.startswith("tarry: cannot write ")
    assert err.count("\n") == 1

    (tmp_path / "tarry.d.ts").mkdir()
    assert mirror("--force", tmp_path)[0] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tarry.d.ts", "tarry.js"]


def test_copies_can_be_read_by_whom_the_umask_lets(mirror, tmp_path):
    before = os.umask(0o027)
    try:
        mirror(tmp_path)
    finally:
        os.umask(before)

    assert (tmp_path / "tarry.js").stat().st_mode & 0o777 == 0o640
