"""The browser's script as it is served: types, conditions, size, and its three forms."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files

import pytest

from tarry import App, RegistrationError

NAMES = ["tarry.js", "tarry.classic.js", "tarry.d.ts"]
MAX_BYTES = 7500
"""What the module may weigh on the wire, whichever zlib packs it."""

PARTS = ["waits.js", "worker.js"]


@pytest.fixture
def client():
    with App(store="memory").testing() as client:
        yield client


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_served_with_type_and_conditions(client, name):
    reply = client.get(f"/-/{name}")

    assert reply.status == 200
    kind = "text/plain" if name.endswith(".ts") else "text/javascript"
    assert reply.headers["content-type"] == f"{kind}; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    again = client.get(f"/-/{name}", headers={"if-none-match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == reply.headers["etag"]
    assert client.get(f"/-/{name}", headers={"if-none-match": '"other"'}).status == 200
    assert client.head(f"/-/{name}").headers["content-length"] == str(len(reply.body))


def test_a_condition_that_cannot_hold_is_refused(client):
    assert client.get("/-/tarry.js", headers={"if-match": '"other"'}).status == 412


def test_the_forms_have_entity_tags_of_their_own(client):
    assert len({client.get(f"/-/{name}").headers["etag"] for name in NAMES}) == 3


def test_the_module_is_small(client):
    assert len(gzip.compress(client.get("/-/tarry.js").body, 9)) < MAX_BYTES


def test_the_module_is_its_parts_as_the_package_has_them(client):
    folder = files("tarry.waiting") / "browser"
    served = client.get("/-/tarry.js").text
    code = re.compile(r"^(?!import |export |$).*$", re.MULTILINE)

    parts = [line for part in PARTS for line in code.findall((folder / part).read_text())]
    assert code.findall(served) == parts
    assert not re.findall(r"^import ", served, re.MULTILINE)
    assert (folder / "tarry.d.ts").read_bytes() == client.get("/-/tarry.d.ts").body


def test_module_classic_script_and_types_have_the_same_names(client):
    module, classic, types = (client.get(f"/-/{name}").text for name in NAMES)
    exports = re.findall(r"^export \{ (.*) \}$", module, re.MULTILINE)

    assert exports == ["TarryError, Worker, resume, waitFor"]
    assert re.findall(r"^return \{ (.*) \}$", classic, re.MULTILINE) == exports
    assert "export" not in re.findall(r"^\w+", classic, re.MULTILINE)
    declared = re.findall(r"^export (?:class|function) (\w+)", types, re.MULTILINE)
    assert sorted(declared) == exports[0].split(", ")


# ---- a path of the author's choice --------------------------------------------------------


@pytest.mark.parametrize(("classic", "name"), [(False, "tarry.js"), (True, "tarry.classic.js")])
def test_the_script_can_be_had_at_another_path_as_well(classic, name):
    app = App(store="memory", internal="/_own")
    app.link_worker_js("/js/worker.js", classic=classic)
    with app.testing() as client:
        linked, own = client.get("/js/worker.js"), client.get(f"/_own/{name}")

        assert linked.body == own.body
        for field in ("content-type", "cache-control", "etag", "x-content-type-options"):
            assert linked.headers[field] == own.headers[field]
        etag = {"if-none-match": own.headers["etag"]}
        assert client.get("/js/worker.js", headers=etag).status == 304
        assert client.post("/js/worker.js").status == 405


def test_both_forms_can_be_linked_and_are_shown_among_the_routes():
    app = App(store="memory")
    app.link_worker_js("/js/worker.js", classic=True)
    app.link_worker_js("js/worker.mjs")

    assert app.routes() == [
        ("GET", "/js/worker.js", "tarry.classic.js"),
        ("GET", "/js/worker.mjs", "tarry.js"),
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "path of a script"),
        ("/js/", "path of a script"),
        ("/js/worker.js?v=1", "path of a script"),
        (None, "path of a script"),
        (print, "path of a script"),
        ("/{folder}/worker.js", "without parameters"),
        ("/js/*.js", "without parameters"),
        ("/**/x.js", "without parameters"),
        ("/js//x.js", "empty segment"),
        ("/js/?/x.js", "query"),
        ("/-/worker.js", "below '/-'"),
        ("/taken.js", "there before"),
    ],
)
def test_a_bad_path_is_refused_at_once(path, reason):
    app = App(store="memory")
    app.add_route("/taken.js", taken)

    with pytest.raises(RegistrationError, match=reason):
        app.link_worker_js(path)
    assert len(app.routes()) == 1


def taken():
    return ""
