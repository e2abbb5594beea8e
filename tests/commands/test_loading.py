from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarry import App
from tarry.commands.loading import CommandError, load_app

ONE_APP = "from tarry import App\napp = App()\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """The current folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, text: str, name: str = "site.py") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "target",
    ["web.py", "./web.py", "web.py:app", "web", "web:app", "pack/inner.py", "pack.inner:app"],
)
def test_a_file_or_a_module_with_or_without_a_name(folder, target):
    write(folder, ONE_APP, "web.py")
    write(folder, ONE_APP, "pack/inner.py")

    assert isinstance(load_app(target), App)


def test_an_absolute_path(folder):
    write(folder, ONE_APP, "web.py")

    assert isinstance(load_app(str(folder / "web.py")), App)


def test_the_folder_of_the_file_comes_first_on_the_path(folder):
    write(folder, "from friend import app", "deep/web.py")
    write(folder, ONE_APP, "deep/friend.py")

    assert load_app("deep/web.py") is sys.modules["friend"].app
    assert sys.path[0] == str(folder / "deep")


def test_app_is_taken_before_others(folder):
    write(folder, "from tarry import App\nadmin = App()\napp = App()\n")

    assert load_app("site.py:admin") is not load_app("site.py")


def test_the_only_app_may_have_any_name(folder):
    write(folder, "from tarry import App\nshop = store = App()\n", "web.py")

    assert load_app("web.py") is sys.modules["web"].shop


def test_a_file_named_like_a_loaded_module_leaves_that_alone(folder):
    import json

    write(folder, ONE_APP, "json.py")

    assert isinstance(load_app("json.py"), App)
    assert sys.modules["json"] is json


def test_types_of_the_file_are_found_by_the_binding(folder):
    write(
        folder,
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        f"{ONE_APP}"
        "@dataclass\nclass Note:\n    text: str\n"
        "@app.post('/')\ndef post(note: Note) -> str:\n    return note.text\n",
        "my-web.py",
    )

    assert [row.path for row in load_app("my-web.py").routes()] == ["/"]


def test_the_guard_of_a_program_does_not_start_it(folder):
    write(folder, f"{ONE_APP}if __name__ == '__main__':\n    raise SystemExit('started')\n")

    assert isinstance(load_app("site.py"), App)


@pytest.mark.parametrize(
    ("target", "text", "message"),
    [
        ("nix.py", "", "there is no file nix.py"),
        (".py/", "", "there is no file .py"),
        ("pack/", "", "pack is a folder"),
        ("nix", "", "there is no module nix"),
        ("nix.inner", "", "there is no module nix"),
        ("my-web", "", "neither a file that ends with .py nor a module name"),
        ("web.py:", "", "neither FILE nor FILE:NAME"),
        (":app", "", "neither FILE nor FILE:NAME"),
        ("web.py:1", "", "neither FILE nor FILE:NAME"),
        ("web.py", "", "web.py has no App; it defines nothing"),
        ("web.py", "import sys\nx = 1", "web.py has no App; it defines sys, x"),
        ("web", "x = 1", "web has no App; it defines x"),
        ("web.py:nix", ONE_APP, "web.py has no nix; its Apps: app"),
        ("web.py:nix", "x = 1", "web.py has no nix; it defines x"),
        ("web.py:x", "x = 1", "x in web.py is no App but of type int"),
        (
            "web.py",
            "from tarry import App\na = App()\nb = App()",
            "web.py has several Apps: a, b; choose one, such as web.py:a",
        ),
        ("web.py", "raise SystemExit(0)", "web.py ended the program while it was imported"),
        ("web.py", f"{ONE_APP}app.run()", "web.py calls run() while it is imported"),
        (
            "web.py",
            f"{ONE_APP}try:\n    app.run(port=0)\nexcept Exception:\n    pass",
            "web.py calls run() while it is imported",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, target, text, message):
    write(folder, text, "web.py")
    (folder / "pack").mkdir()

    with pytest.raises(CommandError) as raised:
        load_app(target)

    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_module_that_is_a_file_here_is_suggested(folder):
    write(folder, "", "pack.mod.py")

    with pytest.raises(CommandError, match=r"did you mean pack\.mod\.py"):
        load_app("pack.mod")


def test_an_app_can_run_again_after_a_refusal(folder):
    run = App.run
    write(folder, f"{ONE_APP}app.run()", "web.py")

    with pytest.raises(CommandError):
        load_app("web.py")

    assert App.run is run


@pytest.mark.parametrize("target", ["web.py", "web"])
@pytest.mark.parametrize(
    ("text", "last_line"),
    [
        ("def deep():\n    import nix\ndeep()", "ModuleNotFoundError: No module named 'nix'"),
        ("def deep(:\n", "SyntaxError: invalid syntax"),
        ("def deep():\n    1 / 0\ndeep()", "ZeroDivisionError: division by zero"),
        (f"{ONE_APP}@app.get('/', inline=True)\nasync def deep(): ...", "RouteError: "),
    ],
)
def test_the_traceback_of_an_author_is_shown_without_ours(folder, capsys, target, text, last_line):
    write(folder, text, "web.py")

    with pytest.raises(CommandError, match="cannot be imported; its error is above"):
        load_app(target)

    shown = capsys.readouterr().err
    assert last_line in shown.strip().splitlines()[-1]
    assert "web.py" in shown
    assert "deep" in shown
    assert "src/tarry" not in shown
    assert "importlib" not in shown
