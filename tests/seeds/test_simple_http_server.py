"""What python-simple-http-server's own tests ask of it, asked of Tarry over real sockets.

Each row is asked of handlers that are `def` and of those that are `async def`.
Where the answer is another one than there, a comment says so and why.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tarry.testing import SocketClient
from tests.seeds.simple_http_server.app import build_app, build_second_app
from tests.seeds.simple_http_server.lanes import LOOP, THREADS, Lane
from tests.seeds.simple_http_server.results import FAVICON, Bed
from tests.seeds.simple_http_server.websockets import LONG_TEXT
from tests.websocket_frames import BINARY, CONT, TEXT, Peer, fragments, frame
from tests.wire import TIMEOUT_S, Wire

LONG = "a text that is worth compressing\n" * 100


@dataclass
class Site:
    """The application of one lane, at its URL."""

    lane: Lane
    url: str
    folder: Path
    bed: Bed


@pytest.fixture(scope="module", params=[THREADS, LOOP], ids=["def", "async def"])
def site(request, tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret.txt").write_text("secret")
    (folder / "public" / "inner").mkdir(parents=True)
    for name in ("a.txt", "中文.txt", "a b.txt", "inner/b.txt"):
        (folder / "public" / name).write_text("hello world!")
    (folder / "public" / "long.txt").write_text(LONG)
    bed = Bed()
    app = build_app(request.param, folder, bed)
    with app.start(access_log=False, stop_timeout_s=0.1) as handle:
        yield Site(request.param, handle.url, folder, bed)


@pytest.fixture
def client(site) -> Iterator[SocketClient]:
    with SocketClient(site.url, keep_cookies=True) as client:
        yield client


def ask_with(expected, reply):
    assert (reply.status, reply.text) == (200, expected), reply


def test_handlers_run_in_the_lane_that_is_said(site, client):
    """No row: guards all others, which would be asked of one lane twice."""
    in_thread = client.get("/lane").text.startswith("tarry-handler")

    assert in_thread is not site.lane.is_async


# ── rows that are asserted there: HTTP ────────────────────────────────────────────────────


def test_header_echo(client):
    """All fields but `Connection`, which no handler may set."""
    headers = {"X-KJ-ABC": "my-headers", "Connection": "close", "Accept": "*/*"}

    reply = client.get("/header_echo", headers=headers)

    assert reply.status == 200
    assert reply.headers["X-Kj-Abc"] == "my-headers"
    assert reply.headers["accept"] == "*/*"


def test_static(client):
    reply = client.get("/public/a.txt")

    assert (reply.status, reply.body) == (200, b"hello world!")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/public/中文.txt", "/public/a b.txt", "/public/inner/b.txt"])
def test_static_files_of_any_name(client, path):
    assert client.get(path).body == b"hello world!"


@pytest.mark.parametrize("climb", ["..", "%2e%2e", "inner/../..", "%2e%2e%2f", "inner%2f..%2f.."])
def test_static_files_end_at_their_folder(site, climb):
    """Row differs: there the first two led to the file outside."""
    with Wire(site.url) as wire:
        wire.send(f"GET /public/{climb}/secret.txt HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        reply = wire.read()

    assert reply.status in (400, 404)
    assert b"secret" not in reply.body


def test_gzip(client):
    """Row differs: its 12 bytes would become 32, so a text goes that gets smaller."""
    accepts = {"accept-encoding": "gzip ,deflate"}

    long = client.get("/public/long.txt", headers=accepts)
    short = client.get("/public/a.txt", headers=accepts)

    assert long.headers["content-encoding"] == "gzip"
    assert gzip.decompress(long.body).decode() == LONG
    assert "content-encoding" not in short.headers
    assert short.body == b"hello world!"
    assert short.headers["vary"] == long.headers["vary"] == "Accept-Encoding"
    assert client.get("/public/long.txt").text == LONG


def test_path_value(client):
    reply = client.get("/path_values/abc/xyz/x")

    assert reply.text == "<html><body>abc, xyz</body></html>"
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


def test_error(client):
    reply = client.get("/error")

    assert reply.status == 400
    assert reply.text == "code：400, message: Parameter Error!, explain: Test Parameter Error!"  # noqa: RUF001 — as it was


def test_coroutine(client):
    ask_with("Success! KJ2", client.get("/%E4%B8%AD%E6%96%87/coroutine?hey=KJ2"))
    ask_with("Success! Hey!", client.get("/中文/coroutine"))


def test_post_json(client):
    reply = client.post("/post_json", json={"code": 0, "msg": "xxx"})

    assert (reply.status, reply.json()) == (200, {"code": 0, "msg": "xxx"})


def test_post_json_that_is_none(client):
    """Row differs: there a list was a 500, and no reply came for what is no JSON."""
    assert client.post("/post_json", json=[1]).status == 400
    reply = client.post("/post_json", data=b"{", headers={"content-type": "application/json"})
    assert reply.status == 400
    assert client.post("/post_json", data="{}").status == 415


def test_filter(client):
    reply = client.get("/tuple?user_name=kj&pass=wu")

    assert (reply.status, reply.text) == (200, "hello tuple result!")
    assert reply.headers["Res-Filter-Header"] == "from-filter"
    assert reply.headers["MyHeader"] == "my header"


def test_filter_that_redirects(client):
    reply = client.get("/tuple?pass=wu")

    assert (reply.status, reply.headers["location"], reply.body) == (302, "/index", b"")
    assert "MyHeader" not in reply.headers


def test_filter_that_refuses(client):
    reply = client.get("/tuple?user_name=kj")

    assert reply.status == 400
    assert reply.text.endswith("explain: pass should be passed")


def test_filter_by_regexp(client):
    reply = client.get("/abcde/x?user_name=kj&pass=wu")

    # Once, though `x` and `/x` both match: there it ran twice.
    assert reply.headers.getall("Res-Filter-Header") == ["from-filter"]
    assert client.get("/abcde/x").status == 302


def test_exception(client):
    """The text of an error reaches the client only since the error handler hands it on."""
    reply = client.get("/exception")

    assert reply.status == 500
    assert reply.text == "500-Internal Server Error-some error occurs!"


def test_res_write_bytes(client):
    reply = client.get("/res/write/bytes")

    assert (reply.status, reply.body) == (200, b"abcdefg")
    assert reply.headers["content-type"] == "application/octet-stream"


def test_params_narrowing(client):
    ask_with("a=b", client.get("/param/narrowing?a=b"))
    ask_with("a!=b", client.get("/param/narrowing?a=c"))
    assert client.get("/param/narrowing").status == 404


def test_model_binding(client):
    reply = client.get("/model_binding/person?name=keijack&sex=male&age=18")

    assert reply.json() == {"name": "keijack", "sex": "male", "age": 18}
    assert client.get("/model_binding/person?name=keijack&sex=male&age=x").status == 400


def test_send_chunked(site):
    """Row differs: the connection stays open, as HTTP/1.1 has it, and takes the next request."""
    with Wire(site.url) as wire:
        for _ in range(2):
            wire.send(
                b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"8\r\nMozilla \r\n11\r\nDeveloper Network\r\n0\r\n\r\n"
            )
            reply = wire.read()
            assert reply.status == 200
            assert reply.body == b'{"code":0,"data":"Mozilla Developer Network"}'
        wire.half_close()
        assert wire.is_closed()


# ── rows that are asserted there: WebSocket ───────────────────────────────────────────────


def websocket(site, path):
    return connect(site.url.replace("http:", "ws:") + path, proxy=None)


def read_message(peer):
    """Kind and payload of the next message, and the size of each of its frames."""
    kind, is_last, payload = peer.read_frame()
    sizes = [len(payload)]
    while not is_last:
        continued, is_last, more = peer.read_frame()
        assert continued == CONT
        payload += more
        sizes.append(len(more))
    return kind, payload, sizes


def test_ws(site):
    with websocket(site, "/ws/test-ws") as socket:
        socket.send("hello websocket!")
        assert socket.recv() == "test-ws-hello websocket!"
        socket.send("close")
        assert list(socket) == []
        assert socket.close_code == 1000


def test_ws_fun(site):
    with websocket(site, "/ws-fun/test-ws-fun") as socket:
        socket.send("hello websocket!")
        assert socket.recv() == "test-ws-fun-hello websocket!"


def test_ws_continuation(site):
    with Peer(site.url, "/ws/test-ws") as peer:
        peer.send(fragments(TEXT, b"Hello ", b"Websocket ", b"Frames!"))
        assert peer.read_text() == "test-ws-Hello Websocket Frames!"


def check_answer_to_binary(peer, data):
    kind, payload, sizes = read_message(peer)
    assert (kind, payload.decode()) == (TEXT, LONG_TEXT)
    assert max(sizes) == 10
    assert read_message(peer) == (BINARY, data, [23])
    assert read_message(peer) == (BINARY, data, [10, 10, 3])


def test_ws_bytes_continuation(site):
    with Peer(site.url, "/ws/test-ws") as peer:
        peer.send(fragments(BINARY, b"Hello ", b"Websocket ", b"Frames!"))
        check_answer_to_binary(peer, b"Hello Websocket Frames!")


def test_ws_bytes_in_one_frame(site):
    """No row: there it broke the connection."""
    with Peer(site.url, "/ws/test-ws") as peer:
        peer.send(frame(BINARY, b"Hello Websocket Frames!"))
        check_answer_to_binary(peer, b"Hello Websocket Frames!")


def test_ws_behind_a_filter(site):
    """No row: filters see the handshake, too."""
    with Peer(site.url, "/ws-fun/x") as peer:
        assert (peer.reply.status, peer.reply.get("Res-Filter-Status")) == (101, "101")


def test_ws_of_an_unknown_path(site):
    with pytest.raises(InvalidStatus) as raised, websocket(site, "/ws-none"):
        pass
    assert raised.value.response.status_code == 404


def test_ws_regexp(site):
    for _ in range(2):
        with websocket(site, "/ws-reg/wstest") as socket:
            socket.send("hello, reg")
            assert socket.recv() == "wstest-hello, reg"
            assert socket.recv() == "1", "an object of another connection"


# ── controllers that are there, but not asserted ──────────────────────────────────────────


@pytest.mark.parametrize("path", ["/", "/index"])
def test_index(client, path):
    assert client.get(path).json() == {"code": 0, "message": "success"}


@pytest.mark.parametrize("path", ["/", "/index"])
def test_index_of_a_second_app(site, client, path):
    with (
        build_second_app(site.lane).start(access_log=False) as second,
        SocketClient(second.url) as other,
    ):
        assert other.get(path).json() == {"code": 0, "message": "success of the second"}
        assert other.get("/say_hello").status == 404
        assert client.get(path).json() == {"code": 0, "message": "success"}


def test_say_hello(client):
    ask_with("Hello, KEIJACK!", client.get("/say_hello"))
    ask_with("Hello, x!", client.get("/say_hello?name=x"))
    ask_with("Hello, KEIJACK!", client.post("/say_hello"))
    ask_with("Hello, x!", client.post("/say_hello", data={"name": "x"}))
    ask_with("Hello, x!", client.post("/say_hello?name=x"))
    # Row differs: of query and form the query counts.
    ask_with("Hello, query!", client.post("/say_hello?name=query", data={"name": "form"}))


def test_sleep(site, client):
    """One who sleeps holds up nobody else; the alarm saves the test the minute."""
    ask_with("slept", client.get("/sleep?secs=0"))
    site.bed.entered.clear()
    with Wire(site.url) as sleeper:
        sleeper.send(b"GET /sleep?secs=60 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert site.bed.entered.wait(TIMEOUT_S)
        assert client.get("/index").status == 200
        site.bed.alarm.set_result("woken")
        assert sleeper.read().body == b"woken"


BOUNDARY = "a boundary"
UPLOAD = "\r\n".join(
    [
        f"--{BOUNDARY}",
        'Content-Disposition: form-data; name="中文text"',
        "",
        "一段文字",
        f"--{BOUNDARY}",
        'Content-Disposition: form-data; name="img"; filename="中文.txt"',
        "Content-Type: text/x-own",
        "",
        "内容",
        f"--{BOUNDARY}--",
        "",
    ]
)


def test_upload(client):
    content_type = f'multipart/form-data; boundary="{BOUNDARY}"'

    reply = client.post("/upload", data=UPLOAD, headers={"content-type": content_type})

    assert reply.status == 200
    assert reply.json() == {
        "text": "一段文字",
        "filename": "中文.txt",
        "content_type": "text/x-own",
        "content": "内容",
    }


def test_upload_without_a_file(client):
    """Row differs: the file is missing among the parameters, and so are others at once."""
    reply = client.post("/upload", data={"img": "no file"})

    assert reply.status == 400
    assert reply.text.endswith("explain: bad parameters: 中文text, img")


def test_post_txt(client):
    reply = client.post("/post_txt", data={"中文txt": "一 段"})

    assert reply.json() == {
        "text": "一 段",
        "raw": "%E4%B8%AD%E6%96%87txt=%E4%B8%80+%E6%AE%B5",
    }


def test_cookies(client):
    cookies = client.get("/cookies").headers.getall("set-cookie")

    # HttpOnly and SameSite are there unless the author says otherwise.
    assert cookies == [
        "user=keijack; Path=/; SameSite=Lax; HttpOnly",
        "theme=dark; Max-Age=3600; Path=/; SameSite=Lax; HttpOnly",
    ]


def test_tuple_cookie(client):
    reply = client.get("/tuple_cookie")

    assert (reply.status, reply.text) == (200, "with a cookie")
    assert reply.headers["my-header"] == "x"
    (cookie,) = reply.headers.getall("set-cookie")
    assert cookie.startswith("ck1=value1; Expires=Fri, 02 Jan 2099 03:04:05 GMT; Path=/tuple;")


def test_session(client):
    """By a binder of the application; sessions of Tarry's own come with the state layer."""
    first = client.get("/session")

    ask_with("None", first)
    ask_with("Hello, Session!", client.get("/session"))
    ask_with("Hello, Session!", client.get("/session?invalid=true"))
    ask_with("None", client.get("/session"))
    assert "HttpOnly" in first.headers["set-cookie"]


def test_session_of_a_planted_id(site):
    """Row differs: there an id that nobody had been given was taken over."""
    with SocketClient(site.url) as client:
        reply = client.get("/session", cookies={"session_id": "attacker"})

    ask_with("None", reply)
    assert "attacker" not in reply.headers["set-cookie"]


def test_redirect(client):
    reply = client.get("/redirect")

    assert (reply.status, reply.body) == (302, b"")
    assert client.get(reply.headers["location"]).json()["message"] == "success"


def test_params(client):
    reply = client.get(
        "/params?user=kj&age=8&male=false&skills=java&skills=python&extra=%7B%22a%22%3A1%7D",
        headers={"Accept": "text/x-own"},
    )

    assert reply.json() == {
        "user": "kj",
        "age": 8,
        "male": False,
        "skills": ["java", "python"],
        "extra": {"a": 1},
        "accept": "text/x-own",
    }


def test_params_of_defaults(client):
    reply = client.get("/params?user=kj&skills=java", headers={"Accept": "*/*"})

    assert reply.json() == {
        "user": "kj",
        "age": 16,
        "male": True,
        "skills": ["java"],
        "extra": {},
        "accept": "*/*",
    }


def test_params_that_are_wrong(client):
    """Row differs: every parameter is named at once, a list that is missing among them."""
    reply = client.get("/params?age=x&male=perhaps&extra=no")

    assert reply.status == 400
    assert reply.text.endswith("explain: bad parameters: user, skills, age, male, extra, accept")


def test_int_status_code(client):
    """Row differs: a number is JSON like any other value; a status is said as such."""
    number = client.get("/int_status_code")
    of_tuple = client.get("/tuple_status_code")
    of_response = client.get("/response_status_code")

    assert (number.status, number.json()) == (200, 201)
    assert (of_tuple.status, of_tuple.text) == (201, "made")
    assert (of_response.status, of_response.body) == (201, b"")


def test_obj_hello(client):
    ask_with("ctr object[#my-ctr]:desc", client.get("/obj/hello"))


def test_obj_is_a_singleton(client):
    counts = [client.get("/obj/count").json() for _ in range(3)]

    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


def test_obj_hello2(client):
    reply = client.get("/obj/hello2?name=kj&i=1&i=2")

    assert reply.json() == {"name": "kj", "sum": 3, "i": [1, 2]}
    assert client.get("/obj/hello2?name=kj&i=1&i=x").status == 400


def test_reg_in_class(client):
    assert client.get("/reg/42-abc").json() == ["42", "abc"]
    # Row differs: the whole path has to match, not only its beginning.
    assert client.get("/reg/42-abc/x").status == 404


@pytest.mark.parametrize(
    ("path", "text"), [("x", "x"), ("x/y/z", "x/y/z"), ("%E4%B8%AD~+,;=:'/%20", "中~+,;=:'/ ")]
)
def test_wildcard_text(client, path, text):
    ask_with(text, client.get(f"/abcde/{path}?user_name=kj&pass=wu"))


def test_put_file(site, client):
    content = b"0123456789abcdef" * (3 * 1024 * 1024 // 16) + b"rest"

    reply = client.put("/put/file", data=content)

    assert (reply.status, reply.json()) == (200, {"size_bytes": len(content)})
    assert (site.folder / "put").read_bytes() == content


def test_put_file_in_chunks(site, client):
    reply = client.put("/put/file", data=iter([b"first ", b"and ", b"last"]))

    assert reply.json() == {"size_bytes": 14}
    assert (site.folder / "put").read_bytes() == b"first and last"


def test_page_index(client):
    """Row differs: "or" is within a class or a method; the two of them are both to be met."""
    ask_with("page", client.get("/page/index?a=b"))
    ask_with("page", client.get("/page/index?a=c"))
    ask_with("edited", client.get("/page/index?a=c&edit"))
    ask_with("edited", client.get("/page/index?a=b&mode=editing"))
    assert client.get("/page/index?edit").status == 404
    assert client.get("/page/index?a=x").status == 404


def test_header_narrowing(client):
    ask_with("a text: hello", client.post("/header_narrowing", data="hello"))
    other = {"content-type": "application/json"}
    assert client.post("/header_narrowing", data=b"hello", headers=other).status == 404


def test_arr(client):
    assert client.get("/arr?values=a&values=b").json() == ["a", "b"]
    # Row differs: what is missing is an error, as its README says, and not an empty list.
    assert client.get("/arr").status == 400


def test_favicon(client):
    """By a route of the application; one that is built in comes with folders of files."""
    reply = client.get("/favicon.ico")

    assert (reply.status, reply.body) == (200, FAVICON)
    assert reply.headers["content-type"] == "image/png"
