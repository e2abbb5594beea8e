"""The layers of Tarry as data, and the rules that every file of src and tests keeps.

The picture is drawn in docs/architecture.md.  Every import counts: at the top of a file, for
typing only, in a function.  When a rule is in the way, the thing most often lies in the wrong
file; otherwise change the data here, and say why in docs/decisions/.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import rules
from tools.source import read_package

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "tarry"

ARCHITECTURE = rules.Architecture(
    # From bottom to top: a part imports from rows below its own, parts of one row are strangers.
    layers=(
        {"message", "descriptors", "timing", "version"},
        {"protocol"},
        {"exchange"},
        {"server", "app", "state"},
        {"waiting", "features", "testing", "interop"},
        {"jobs"},
        {"application", "client"},
        {"commands"},
        {"__init__"},
        {"__main__"},
    ),
    # Hidden from the other rows above it.
    known_only_by={"protocol": {"server", "testing"}},
    # Folders whose parts are strangers too.
    siblings={"features"},
    # Only these files import a package from outside; replacing it touches no others.
    third_party={
        "aiohttp": {"features/proxy/*"},
        "backports": {"message/codecs.py"},
        "brotli": {"message/codecs.py"},
        "compression": {"message/codecs.py"},  # of Python itself, from 3.14 on
        "docket": {"jobs/runners/cluster.py"},
        "itsdangerous": {"state/signing.py"},
        "jinja2": {"features/templates.py"},
        "msgspec": {
            "app/*",
            "waiting/records.py",
            "waiting/schemas.py",
            "jobs/*",
            "testing/*",
            "commands/config.py",
        },
        "multipart": {"message/multipart.py"},
        "prompt_toolkit": {"commands/console.py"},
        "redis": {"state/redis.py"},
        "rich": {"commands/console.py"},
        "trustme": {"server/tls.py"},
        "uvloop": {"server/worker.py"},
        "watchfiles": {"server/reload.py"},
        "websockets": {"protocol/websocket.py"},
        "zttp": {"protocol/http1.py", "protocol/http2.py", "testing/wire.py"},
    },
)

RULES_OF_SRC = [
    ARCHITECTURE.parts_without_layer,
    ARCHITECTURE.upward_imports,
    ARCHITECTURE.imports_of_hidden_parts,
    ARCHITECTURE.imports_between_siblings,
    ARCHITECTURE.third_party_imports_out_of_place,
    rules.import_cycles,
    rules.stubs,
    rules.asserts,
    rules.exceptions_without_reason,
]
RULES_OF_TESTS = [rules.sleeps, rules.exceptions_without_reason]


@pytest.mark.parametrize("rule", RULES_OF_SRC, ids=lambda rule: rule.__name__)
def test_src_has_no(rule):
    findings = list(rule(read_package(PACKAGE)))

    assert not findings, "\n".join(["", *findings])


@pytest.mark.parametrize("rule", RULES_OF_TESTS, ids=lambda rule: rule.__name__)
def test_tests_have_no(rule):
    findings = list(rule(read_package(TESTS)))

    assert not findings, "\n".join(["", *findings])


def test_src_is_found():
    """Guards the tests above, which would pass on an empty folder."""
    assert "tarry" in read_package(PACKAGE), f"{PACKAGE} has no __init__.py"
