"""Filters, and answers for errors."""

from __future__ import annotations

from http import HTTPStatus

from tarry import Headers, HttpError, Redirect, Request


def add_filters(app, lane):
    app.filter("/tuple")(lane.either(with_user, with_user_async))
    app.filter(regexp="^/abcd")(lane.either(with_user, with_user_async))

    @app.filter("/ws-fun/*")
    @lane
    def with_status(request: Request):
        response = yield
        response.headers["Res-Filter-Status"] = str(response.status)

    @app.get("/tuple")
    @lane
    def tuple_result():
        return 200, Headers({"MyHeader": "my header"}), "hello tuple result!"


def with_user(request):
    refused = refusal(request)
    if refused is not None:
        yield refused
        return
    response = yield
    response.headers["Res-Filter-Header"] = "from-filter"


async def with_user_async(request, next):
    refused = refusal(request)
    if refused is not None:
        return refused
    response = await next(request)
    response.headers["Res-Filter-Header"] = "from-filter"
    return response


def refusal(request: Request):
    """Where a request without a user goes; one without a password is an error."""
    if "user_name" not in request.query:
        return Redirect("/index")
    if "pass" not in request.query:
        raise HttpError(400, "pass should be passed")
    return None


class ParameterError(HttpError):
    """400 with a message and an explanation."""

    def __init__(self, message, explain):
        super().__init__(400, explain)
        self.message = message


def add_errors(app, lane):
    @app.get("/error")
    @lane
    def error():
        raise ParameterError("Parameter Error!", "Test Parameter Error!")

    @app.get("/exception")
    @lane
    def exception():
        raise Exception("some error occurs!")  # noqa: TRY002 — any error, also the plainest

    @app.error(400)
    @lane
    def bad_request(status, error, detail):
        message = getattr(error, "message", HTTPStatus(status).phrase)
        return f"code：{status}, message: {message}, explain: {detail}"  # noqa: RUF001 — as it was

    @app.error
    @lane
    def any_error(status, error, detail):
        return f"{status}-{HTTPStatus(status).phrase}-{detail or error}"
