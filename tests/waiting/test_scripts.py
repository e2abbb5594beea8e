"""The browser's script as it is served: types, conditions, size, and its three forms."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files

import pytest

from tarry import App

NAMES = ["tarry.js", "tarry.classic.js", "tarry.d.ts"]
MAX_BYTES = 5300
"""What the module may weigh on the wire, whichever zlib packs it."""


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


def test_the_script_is_part_of_the_package(client):
    folder = files("tarry.waiting") / "browser"

    assert (folder / "tarry.js").read_bytes() == client.get("/-/tarry.js").body
    assert (folder / "tarry.d.ts").read_bytes() == client.get("/-/tarry.d.ts").body


def test_module_classic_script_and_types_have_the_same_names(client):
    module, classic, types = (client.get(f"/-/{name}").text for name in NAMES)
    exports = re.findall(r"^export \{ (.*) \}$", module, re.MULTILINE)

    assert exports == ["TarryError, resume, waitFor"]
    assert re.findall(r"^return \{ (.*) \}$", classic, re.MULTILINE) == exports
    assert "export" not in re.findall(r"^\w+", classic, re.MULTILINE)
    declared = re.findall(r"^export (?:class|function) (\w+)", types, re.MULTILINE)
    assert sorted(declared) == exports[0].split(", ")
