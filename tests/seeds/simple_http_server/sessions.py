"""Cookies, and sessions as an author can make them with a binder and a cookie."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from tarry import Headers, Request, Response, SetCookie

SESSION_COOKIE = "session_id"


def add_cookies(app, lane):
    @app.get("/cookies")
    @lane
    def cookies(response: Response):
        response.set_cookie("user", "keijack")
        response.set_cookie("theme", "dark", max_age_s=3600)
        return {"code": 0}

    @app.get("/tuple_cookie")
    @lane
    def tuple_cookie():
        expires = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
        cookie = SetCookie("ck1", "value1", expires=expires, path="/tuple")
        return 200, Headers({"my-header": "x"}), cookie, "with a cookie"


class Session(dict):
    """What is kept for one client; `invalidate` ends it."""

    def __init__(self, id):
        self.id = id
        self.is_valid = True

    def invalidate(self):
        self.is_valid = False


def add_sessions(app, lane):
    sessions: dict[str, Session] = {}

    @app.binder(Session)
    @lane
    def session_of(request: Request, response: Response):
        # An id that nobody was given is not taken over: a client could plant its own.
        known = sessions.get(request.cookies.get(SESSION_COOKIE, ""))
        session = Session(secrets.token_urlsafe()) if known is None else known
        yield session
        if session.is_valid:
            sessions[session.id] = session
            response.set_cookie(SESSION_COOKIE, session.id, max_age_s=30 * 60)
        else:
            sessions.pop(session.id, None)
            response.delete_cookie(SESSION_COOKIE)

    @app.get("/session")
    @lane
    def greet(session: Session, invalid: bool = False):
        if invalid:
            session.invalidate()
        greeting = session.get("greeting")
        session["greeting"] = "Hello, Session!"
        return str(greeting)
