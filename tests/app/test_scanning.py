"""Scans of real packages: which modules are imported, and what of them is registered."""

from __future__ import annotations

import sys
import zipfile

import pytest

from tarry.app.route_options import RegistrationError
from tarry.app.scanning import MAX_NAMES_TOLD, ScanError
from tests.app.recording import Recorder, Serving
from tests.app.serving import once

MARKS = "from tarry.app.controllers import controller, get, post, route\n"


def with_route(name):
    return f"{MARKS}@get('/{name}')\ndef {name}():\n    return '{name}'\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files into a folder, which is not on `sys.path`; forgets their modules afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    tops = set()

    def write(files):
        for name, source in files.items():
            tops.add(name.partition("/")[0].removesuffix(".py"))
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return tmp_path

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]


@pytest.fixture
def place(write, monkeypatch):
    """Writes files into a folder that is on `sys.path`."""

    def place(files):
        folder = write(files)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return place


@pytest.fixture
def recorder():
    return Recorder()


# ── which modules ─────────────────────────────────────────────────────────────────────────

SHOP = {
    "shop/__init__.py": with_route("top"),
    "shop/zebra_controllers.py": with_route("zebra"),
    "shop/apple_controllers.py": with_route("apple"),
    "shop/helpers.py": with_route("helper"),
    "shop/inner/__init__.py": "",
    "shop/inner/my_controllers.py": with_route("inner"),
    "shop/plain/deep/controllers.py": with_route("plain"),
    "shop/plain/__pycache__/controllers.py": "raise SystemExit",
    "shop/not-a-package/controllers.py": "raise SystemExit",
    "shop/__main__.py": "raise SystemExit('a program, not a module')",
    "shop/notes.txt": "",
}


def test_a_package_is_scanned_to_its_depth_in_order_of_names(place, recorder):
    place(SHOP)

    assert recorder.scan("shop") == [
        "shop",
        "shop.apple_controllers",
        "shop.helpers",
        "shop.inner",
        "shop.inner.my_controllers",
        "shop.plain.deep.controllers",
        "shop.zebra_controllers",
    ]
    assert recorder.places == [
        "GET /top", "GET /apple", "GET /helper", "GET /inner", "GET /plain", "GET /zebra",
    ]  # fmt: skip


def test_only_modules_that_match_are_imported(place, recorder):
    place(SHOP)
    recorder.scan("shop", r".*controllers.*")

    assert recorder.places == ["GET /apple", "GET /inner", "GET /plain", "GET /zebra"]
    assert "shop.helpers" not in sys.modules


@pytest.mark.parametrize(
    ("regexp", "names"),
    [
        (r"shop", ["shop"]),
        (r"shop\.inner\.my_controllers", ["shop.inner.my_controllers"]),
        (r"shop\.[a-z]+", ["shop.helpers", "shop.inner"]),
    ],
)
def test_a_name_matches_from_beginning_to_end(place, recorder, regexp, names):
    place(SHOP)

    assert recorder.scan("shop", regexp) == names


def test_a_package_below_another_is_scanned_alone(place, recorder):
    place(SHOP)

    assert recorder.scan("shop.inner") == ["shop.inner", "shop.inner.my_controllers"]


def test_a_single_module(place, recorder):
    place({"single.py": with_route("single")})

    assert recorder.scan("single") == ["single"]
    assert recorder.places == ["GET /single"]


def test_a_package_without_init_in_several_folders(place, recorder, monkeypatch):
    folder = place({"one/spread/a.py": with_route("a"), "two/spread/b.py": with_route("b")})
    for part in ("one", "two"):
        monkeypatch.syspath_prepend(str(folder / part))
    place({"spread/c.py": with_route("c")})

    assert recorder.scan("spread") == ["spread", "spread.a", "spread.b", "spread.c"]


def test_a_module_comes_before_a_folder_of_the_same_name(place, recorder):
    place({"both/__init__.py": "", "both/x.py": with_route("x"), "both/x/y.py": with_route("y")})

    assert recorder.scan("both") == ["both", "both.x"]


def test_a_package_in_a_zip_file(tmp_path, write, recorder, monkeypatch):
    write({"zipped/__init__.py": ""})
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        archive.writestr("zipped/a.py", with_route("a"))
        archive.writestr("zipped/below/__init__.py", "")
        archive.writestr("zipped/below/b.py", with_route("b"))
    monkeypatch.syspath_prepend(str(tmp_path / "all.zip"))

    assert recorder.scan("zipped") == ["zipped", "zipped.a", "zipped.below", "zipped.below.b"]


def test_a_link_to_a_folder_around_it_is_not_followed_for_ever(place, recorder):
    folder = place({"loop/__init__.py": "", "loop/plain/a.py": with_route("a")})
    (folder / "loop/plain/back").symlink_to(folder / "loop")

    assert recorder.scan("loop") == ["loop", "loop.plain.a"]


def test_a_project_dir_is_where_the_package_is(write, recorder):
    folder = write({"away/__init__.py": "", "away/a.py": with_route("a")})
    with pytest.raises(ScanError, match="away cannot be imported"):
        recorder.scan("away")

    assert recorder.scan("away", project_dir=folder) == ["away", "away.a"]
    recorder.scan("away", "away", project_dir=str(folder / "." / "away" / ".."))
    assert sys.path.count(str(folder)) == 1
    assert sys.path[0] == str(folder)


# ── which things ──────────────────────────────────────────────────────────────────────────


def test_marked_things_are_registered_in_order_of_definition(place, recorder):
    place({"things.py": MARKS + (
        "@post('/zebra', '/second')\n"
        "@get('/zebra')\n"
        "def zebra(): pass\n"
        "@controller('/middle')\n"
        "class Middle:\n"
        "    @route\n"
        "    def show(self): pass\n"
        "@get('/apple', params='a')\n"
        "async def apple(): pass\n"
        "def unmarked(): pass\n"
        "again = apple\n"
    )})  # fmt: skip
    recorder.scan("things")

    assert recorder.places == [
        "POST /zebra", "POST /second", "GET /zebra", "GET /middle", "GET /apple",
    ]  # fmt: skip
    assert [each.origin for each in recorder.all][-2:] == ["Middle.show", "apple"]
    assert recorder.all[-1].options.params == ("a",)


def test_what_is_imported_from_elsewhere_is_not_registered_again(place, recorder):
    place({
        "parts/__init__.py": "",
        "parts/a.py": with_route("a") + "@controller('/A')\nclass A:\n  @get\n  def a(self): ...\n",
        "parts/b.py": f"from parts.a import A, a\n{with_route('b')}",
    })  # fmt: skip

    recorder.scan("parts", r"parts\.b")
    assert recorder.places == ["GET /b"]

    recorder.scan("parts", r"parts\.a")
    assert recorder.places == ["GET /b", "GET /a", "GET /A"]


def test_a_base_is_left_alone_and_its_controller_has_its_methods(place, recorder):
    place({"bases.py": MARKS + (
        "class Base:\n"
        "    @get('/x')\n"
        "    def show(self): pass\n"
        "@controller('/sub')\n"
        "class Sub(Base): pass\n"
        "class SubOfSub(Sub): pass\n"
    )})  # fmt: skip
    recorder.scan("bases")

    assert recorder.places == ["GET /sub/x"]


def test_a_decorated_function_belongs_where_it_is_written(place, recorder):
    place({
        "wrapping.py": (
            "import functools\n"
            "def twice(function):\n"
            "    @functools.wraps(function)\n"
            "    def wrapper(): return function() * 2\n"
            "    return wrapper\n"
        ),
        "wrapped.py": MARKS + "import wrapping\n@wrapping.twice\n@get('/x')\ndef x(): return 1\n",
    })  # fmt: skip
    recorder.scan("wrapped")

    assert recorder.only.function() == 2


def test_objects_that_pretend_are_not_asked(place, recorder):
    place({"pretending.py": with_route("x") + (
        "class Pretender:\n"
        "    def __getattribute__(self, name): raise RuntimeError('there is nothing behind this')\n"
        "pretender = Pretender()\n"
    )})  # fmt: skip
    recorder.scan("pretending")

    assert recorder.places == ["GET /x"]


def test_a_group_scans_below_its_prefix(place, recorder):
    place({"below.py": with_route("x")})
    recorder.group("/api", params="a").scan("below")

    assert recorder.places == ["GET /api/x"]
    assert recorder.only.options.params == ("a",)


def test_modules_may_register_by_themselves(place):
    place({
        "own/__init__.py": "from tests.app.recording import Serving\napp = Serving()\n",
        "own/pages.py": "from own import app\n@app.get('/x', inline=True)\ndef x(): return 'own'\n",
    })  # fmt: skip
    assert Serving().scan("own") == ["own", "own.pages"]

    assert once(sys.modules["own"].app.dispatcher, "GET", "/x").body == b"own"


def test_scanned_functions_and_classes_serve(place):
    place({"serves.py": MARKS + (
        "@get('/hello/{name}')\n"
        "def hello(name: str): return f'hello {name}'\n"
        "@controller('/notes')\n"
        "class Notes:\n"
        "    @get('{number}')\n"
        "    async def show(self, number: int): return [number]\n"
    )})  # fmt: skip
    serving = Serving()
    serving.scan("serves")

    assert once(serving.dispatcher, "GET", "/hello/ada").body == b"hello ada"
    assert once(serving.dispatcher, "GET", "/notes/7").json == [7]


# ── what goes wrong ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("1 / 0", ZeroDivisionError),
        ("import nothing_of_this_name", ImportError),
        ("def", SyntaxError),
        ("raise SystemExit(3)", SystemExit),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_cause(place, recorder, source, cause):
    place({
        "broken/__init__.py": "",
        "broken/a.py": with_route("a"),
        "broken/b.py": source,
    })  # fmt: skip
    with pytest.raises(ScanError, match=r"module broken\.b cannot be imported: ") as caught:
        recorder.scan("broken")

    assert isinstance(caught.value.__cause__, cause)
    assert recorder.all == []


def test_a_broken_module_that_does_not_match_is_not_imported(place, recorder):
    place({"half/__init__.py": "", "half/a.py": with_route("a"), "half/b.py": "1 / 0"})

    assert recorder.scan("half", r".*\.a") == ["half.a"]


def test_no_match_says_what_was_looked_at(place, recorder):
    place({"few/__init__.py": "", "few/a.py": ""})
    with pytest.raises(ScanError) as caught:
        recorder.scan("few", "a")

    assert str(caught.value) == "no module matches 'a'; looked at few, few.a"


@pytest.mark.parametrize(("more", "ending"), [(0, "m09"), (1, "m09 and 1 more")])
def test_only_some_of_many_names_are_told(place, recorder, more, ending):
    modules = {f"many/m{number:02}.py": "" for number in range(1, MAX_NAMES_TOLD + more)}
    place({"many/__init__.py": "", **modules})
    with pytest.raises(ScanError) as caught:
        recorder.scan("many", "x")

    assert str(caught.value).endswith(ending)


@pytest.mark.parametrize("package", ["", ".", "a.", ".a", "a/b", "a-b", "../a", "shop.py/"])
def test_what_is_no_package_name(recorder, package):
    with pytest.raises(ScanError, match="is no package; write its dotted name"):
        recorder.scan(package)


def test_a_package_that_is_not_there(recorder):
    with pytest.raises(ScanError, match="no_such_package cannot be imported: ModuleNotFoundError"):
        recorder.scan("no_such_package")


def test_a_regular_expression_that_is_none(recorder):
    with pytest.raises(ScanError, match=r"'\*\.controller' is no regular expression: "):
        recorder.scan("json", "*.controller")


def test_a_project_dir_that_is_not_there(tmp_path, recorder):
    with pytest.raises(ScanError, match="is no folder"):
        recorder.scan("json", project_dir=tmp_path / "nothing")


def test_a_marked_thing_that_cannot_be_registered_is_named(place, recorder):
    place({"wrong.py": MARKS + "@controller('/x')\nclass Empty: pass\n"})
    with pytest.raises(RegistrationError, match=r"class wrong\.Empty has no marked method"):
        recorder.scan("wrong")
