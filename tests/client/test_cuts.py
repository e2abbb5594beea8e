"""No answer is lost, and nothing is done twice, wherever connections are cut."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.asked import Asking, Server
from tests.client.cutting import CuttingProxy

STEPS = 3
LARGE = "x" * 20_000
"""More than comes with an event, so that it is fetched."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@settings(max_examples=40)
@given(
    cuts=st.lists(st.integers(0, 400) | st.integers(0, 3000), max_size=6),
    value=st.sampled_from(["small", LARGE]),
)
def test_the_answer_comes_once_however_connections_are_cut(server, cuts, value):
    ask, before = Asking(), len(server.waits)

    def go_on(ticket):
        if ticket.rev <= STEPS:
            server.wait.progress(ticket.rev, STEPS)
        else:
            server.wait.wake(value)

    with CuttingProxy(server.port, cuts) as proxy:
        assert ask(f"{proxy.url}/slow", {"a": 1}, on_progress=go_on) == value

    assert len(server.waits) == before + 1
    assert [ticket.at for ticket in ask.news] == [None, 1, 2, 3]
    assert len(ask.pauses) <= 2 * len(cuts) + STEPS


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=6))
def test_a_file_arrives_whole_however_connections_are_cut(server, cuts):
    content = bytes(range(256)) * 600
    with tempfile.TemporaryDirectory() as folder:
        film, saved = Path(folder, "film"), Path(folder, "saved")
        film.write_bytes(content)
        with CuttingProxy(server.port, cuts) as proxy:
            Asking()(
                f"{proxy.url}/film",
                save_to=saved,
                on_progress=lambda _: server.wait.wake(str(film)),
            )
        assert saved.read_bytes() == content
        assert sorted(each.name for each in Path(folder).iterdir()) == ["film", "saved"]
