"""What is easily written by mistake is told at once, with the way out."""

from __future__ import annotations

import pytest

from tarry import App, Compression, RegistrationError, WebSocket


def test_a_websocket_without_a_path():
    with pytest.raises(RegistrationError, match=r"a path comes first, such as websocket\('/chat'"):

        @App().websocket
        async def talk(socket: WebSocket):
            return


@pytest.mark.parametrize("no_filter", [Compression(), 5])
def test_a_filter_that_is_no_function(no_filter):
    with pytest.raises(TypeError, match="a filter is a function, or belongs to a path, not "):
        App().filter(no_filter)


def test_an_option_that_a_websocket_does_not_have():
    async def talk(socket: WebSocket):
        return

    with pytest.raises(TypeError, match=r"no option 'max_size'.* max_message_bytes"):
        App().websocket("/", max_size=1)(talk)
