"""The rules of the source can fail: each is shown a small package that breaks it."""

from __future__ import annotations

import pytest

from tests.test_architecture import ARCHITECTURE, RULES_OF_SRC
from tools import rules
from tools.source import read_package


def findings_in(tmp_path, rule, files):
    for name, text in files.items():
        path = tmp_path / "tarry" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [
        finding.removeprefix(f"{tmp_path}/tarry/")
        for finding in rule(read_package(tmp_path / "tarry"))
    ]


def check_finds(tmp_path, rule, files, *expected):
    """Check that the rule reports exactly these places, each given as the start of its line."""
    found = findings_in(tmp_path, rule, files)
    missing = [start for start in expected if not any(each.startswith(start) for each in found)]

    assert not missing, "\n".join(["", *found])
    assert len(found) == len(expected), "\n".join(["", *found])


def test_a_new_folder_needs_a_layer(tmp_path):
    files = {"plugins/loader.py": "", "app/routes.py": "", "__init__.py": ""}

    check_finds(
        tmp_path, ARCHITECTURE.parts_without_layer, files, "plugins/loader.py:1: 'plugins' is in no"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import tarry.server.worker",
        "import tarry.server.worker as w",
        "from tarry.server import worker",
        "from tarry.server.worker import run",
        "from tarry.server.worker import *",
        "from ..server.worker import run",
        "from ..server import worker",
        "from .. import server",
        "if TYPE_CHECKING:\n    from tarry.server.worker import run",
        "def serve():\n    from tarry.server.worker import run",
        "try:\n    import tarry.server.worker\nexcept ImportError:\n    run = None",
        "importlib.import_module('tarry.server.worker')",
        "importlib.import_module('..server.worker', __package__)",
    ],
)
@pytest.mark.parametrize("importer", ["protocol/engine.py", "exchange.py", "app/routes.py"])
def test_imports_upwards_and_sideways_are_found(tmp_path, importer, statement):
    if importer == "exchange.py":
        statement = statement.replace("..server", ".server").replace("from .. ", "from . ")
    line = 1 + ("\n" in statement)
    files = {importer: statement, "server/__init__.py": "", "server/worker.py": "run = 1"}

    check_finds(tmp_path, ARCHITECTURE.upward_imports, files, f"{importer}:{line}: ")


def test_imports_downwards_and_inside_a_folder_are_fine(tmp_path):
    files = {
        "__init__.py": "from tarry.application import App",
        "application.py": "from tarry.app.routes import Router\nimport tarry.server.worker",
        "app/__init__.py": "",
        "app/routes.py": "from tarry.exchange import Exchange\nfrom . import params",
        "app/params.py": "import json\nfrom tarry.message.headers import Headers",
        "exchange.py": "",
        "message/headers.py": "",
        "server/worker.py": "from tarry.protocol import engine",
        "protocol/engine.py": "",
    }

    for rule in RULES_OF_SRC:
        check_finds(tmp_path, rule, files)


def test_a_package_imported_from_below_is_upward(tmp_path):
    files = {"__init__.py": "App = 1", "app/routes.py": "from tarry import App"}

    check_finds(tmp_path, ARCHITECTURE.upward_imports, files, "app/routes.py:1: app imports tarry,")


@pytest.mark.parametrize("importer", ["app/routes.py", "exchange.py", "state/sqlite.py"])
def test_only_server_and_testing_know_protocol(tmp_path, importer):
    statement = "from tarry.protocol import engine"
    files = {"protocol/engine.py": "", importer: statement}
    files |= {"server/connection.py": statement, "testing/client.py": statement}

    check_finds(tmp_path, ARCHITECTURE.imports_of_hidden_parts, files, f"{importer}:1: ")


def test_features_do_not_import_one_another(tmp_path):
    sessions = "from tarry.features import cors\nfrom tarry.features.proxy import client"
    files = {
        "features/__init__.py": "",
        "features/sessions.py": sessions,
        "features/cors.py": "",
        "features/proxy/__init__.py": "",
        "features/proxy/client.py": "from tarry.features.proxy import tunnel",
        "features/proxy/tunnel.py": "from . import client\nfrom ..cors import allow",
    }

    check_finds(
        tmp_path,
        ARCHITECTURE.imports_between_siblings,
        files,
        "features/sessions.py:1: ",
        "features/sessions.py:2: ",
        "features/proxy/tunnel.py:2: features/proxy imports its sibling tarry.features.cors",
    )


def test_packages_from_outside_stay_in_their_files(tmp_path):
    files = {
        "protocol/http1.py": "import zttp",
        "server/worker.py": "def loop():\n    import uvloop",
        "features/proxy/client.py": "import aiohttp.client",
        "server/connection.py": "if TYPE_CHECKING:\n    from zttp import Connection",
        "app/binding.py": "import msgspec\nimport requests",
    }

    check_finds(
        tmp_path,
        ARCHITECTURE.third_party_imports_out_of_place,
        files,
        "server/connection.py:2: zttp is imported in protocol/http1.py, protocol/http2.py,",
        "app/binding.py:2: requests is no known dependency",
    )


def test_cycles_are_found_through_packages_and_typing(tmp_path):
    files = {
        "app/__init__.py": "from tarry.app.routes import Router",
        "app/routes.py": "from tarry.app import helper",
        "app/a.py": "import tarry.app.b",
        "app/b.py": "def late():\n    from tarry.app.c import x",
        "app/c.py": "if TYPE_CHECKING:\n    from tarry.app.a import x",
        "app/d.py": "from tarry.app.a import x",
    }

    check_finds(
        tmp_path,
        rules.import_cycles,
        files,
        "app/__init__.py:1: import cycle tarry.app → tarry.app.routes → tarry.app;",
        "app/a.py:1: import cycle tarry.app.a → tarry.app.b → tarry.app.c → tarry.app.a;",
    )


STUBS = '''
def unwritten(): ...

class Store:
    async def get(self):
        """Get it."""
        pass

    def set(self):
        raise NotImplementedError

    # TODO: delete
'''
NO_STUBS = '''
class Store(typing.Protocol[T]):
    def get(self): ...

class Base(ABC):
    @abc.abstractmethod
    def get(self): ...

class GoneError(Exception): ...

@typing.overload
def read(x: int): ...

def read(x):
    return ...

def close():
    """Nothing is held, so nothing is closed."""
'''


def test_stubs_are_found(tmp_path):
    files = {"app/stubs.py": STUBS, "app/fine.py": NO_STUBS}
    places = ["2: unwritten", "5: get", "10: NotImplementedError", "12: TODO"]

    check_finds(tmp_path, rules.stubs, files, *(f"app/stubs.py:{place}" for place in places))


def test_asserts_are_found(tmp_path):
    files = {"app/a.py": "def f(x):\n    assert x\nif __debug__:\n    g = 1"}

    check_finds(tmp_path, rules.asserts, files, "app/a.py:2: ", "app/a.py:3: ")


def test_exceptions_to_tools_need_a_reason(tmp_path):
    # Put together here, so that ruff does not take them for its own.
    noqa, ignore = "# no" + "qa", "# type: " + "ignore"
    lines = [
        f"a = 1  {noqa}: S104 — because all addresses are meant",
        f"b = 1  {noqa}: S104, E501 - because of the table",
        f"c = 1  {ignore}[arg-type]  # because the stub is wrong",
        f"d = 1  {noqa}: S104",
        f"e = 1  {ignore}[arg-type]",
        f"f = 1  {noqa}",
        f"g = '{noqa}'",
    ]
    files = {"app/a.py": "\n".join(lines) + "\n"}

    check_finds(
        tmp_path, rules.exceptions_without_reason, files, *(f"app/a.py:{n}: " for n in (4, 5, 6))
    )


def test_sleeps_are_found(tmp_path):
    lines = [
        "import asyncio, time, time as clock",
        "from asyncio import sleep as nap, sleep",
        "time.sleep(1)",
        "clock.sleep(0.1)",
        "async def test():",
        "    await asyncio.sleep(0.01)",
        "    await asyncio.sleep(delay)",
        "    await nap(1)",
        "    await sleep(delay=1)",
        "    await asyncio.sleep(0)",
        "    await sleep(delay=0)",
        "    clock_of_tarry.sleep(5)",
    ]
    files = {"test_a.py": "\n".join(lines)}

    check_finds(tmp_path, rules.sleeps, files, *(f"test_a.py:{n}: " for n in (3, 4, 6, 7, 8, 9)))
