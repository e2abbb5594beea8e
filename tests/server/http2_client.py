"""An HTTP/2 client with prior knowledge: the h2 library over a real socket."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events

from tests.wire import Wire

GOAWAY = 7
"""Its frame type (RFC 9113 section 6.8)."""


class HTTP2Client:
    """Sends requests and collects what comes, stream by stream."""

    def __init__(self, url, *, window=None):
        self.wire = Wire(url)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.connection.initiate_connection()
        if window is not None:
            self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.statuses = {}
        self.bodies = {}
        self.ended = set()
        self.resets = {}
        self.terminated = self.closed = False
        self._partial = b""
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.wire.socket.close()

    def flush(self):
        if data := self.connection.data_to_send():
            self.wire.send(data)

    def request(self, path="/", *, method="GET", body=None, end=True, headers=()):
        """Send a request; its stream number."""
        stream_id = self.connection.get_next_available_stream_id()
        fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "a")]
        end_now = end and body is None
        self.connection.send_headers(stream_id, [*fields, *headers], end_stream=end_now)
        if body is not None:
            self.connection.send_data(stream_id, body, end_stream=end)
        self.flush()
        return stream_id

    def reset(self, stream_id):
        self.connection.reset_stream(stream_id)
        self.flush()

    def receive(self, until, *, acknowledge=True):
        """Take in what comes until `until()` is true, or the server ends the connection."""
        while not until() and not self.closed:
            data = self.wire._receive()
            if not data:
                self.closed = True
                return
            for event in self.connection.receive_data(self._without_goaway(data)):
                self._take(event, acknowledge)
            self.flush()

    def _without_goaway(self, data):
        """Whole frames but GOAWAY, after which h2 wants no answer, though streams go on."""
        self._partial += data
        frames = b""
        while len(self._partial) >= 9:
            size = 9 + int.from_bytes(self._partial[:3])
            if len(self._partial) < size:
                break
            frame, self._partial = self._partial[:size], self._partial[size:]
            if frame[3] == GOAWAY:
                self.terminated = True
            else:
                frames += frame
        return frames

    def read(self, stream_id, *, acknowledge=True):
        """Status and body of one answer."""
        self.receive(
            lambda: stream_id in self.ended or stream_id in self.resets, acknowledge=acknowledge
        )
        return self.statuses.get(stream_id), self.bodies.get(stream_id, b"")

    def _take(self, event, acknowledge):
        match event:
            case h2.events.ResponseReceived():
                self.statuses[event.stream_id] = int(dict(event.headers)[b":status"])
            case h2.events.DataReceived():
                stream_id = event.stream_id
                self.bodies[stream_id] = self.bodies.get(stream_id, b"") + event.data
                if acknowledge:
                    size = event.flow_controlled_length
                    self.connection.acknowledge_received_data(size, stream_id)
            case h2.events.StreamEnded():
                self.ended.add(event.stream_id)
            case h2.events.StreamReset():
                self.resets[event.stream_id] = event.error_code
