"""The controllers of python-simple-http-server's own tests, as an author of Tarry writes them."""

from __future__ import annotations

from tarry import App, Compression
from tests.seeds.simple_http_server.bodies import add_bodies
from tests.seeds.simple_http_server.filters import add_errors, add_filters
from tests.seeds.simple_http_server.parameters import add_narrowing, add_parameters
from tests.seeds.simple_http_server.results import add_pages, add_results, add_sleep
from tests.seeds.simple_http_server.sessions import add_cookies, add_sessions
from tests.seeds.simple_http_server.websockets import add_websockets

CONTROLLERS = "tests.seeds.simple_http_server.controllers"


def build_app(lane, folder, bed):
    """All of it in one lane; `folder` has the files, in `bed` the requests to /sleep lie."""
    app = App()
    app.filter(inline=True)(
        Compression(types={"text/plain"}, codings=["gzip"], min_bytes=100).filter
    )
    add_filters(app, lane)
    add_errors(app, lane)
    add_pages(app, lane, folder / "public")
    add_parameters(app, lane)
    add_narrowing(app, lane)
    add_bodies(app, lane, folder)
    add_results(app, lane)
    add_sleep(app, lane, bed)
    add_cookies(app, lane)
    add_sessions(app, lane)
    add_websockets(app)
    app.scan(CONTROLLERS, r".*\.async_controllers" if lane.is_async else r".*\.def_controllers")
    return app


def build_second_app(lane):
    """Another application of the same process."""
    app = App()

    @app.get("/", "/index")
    @lane
    def index():
        return {"code": 0, "message": "success of the second"}

    return app
