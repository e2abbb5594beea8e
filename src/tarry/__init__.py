"""Tarry: a web server and framework in which a request can wait.

How it is built, in three sentences:

1. Bytes become events in `protocol/`, which knows no sockets and no clock.
2. Events become an exchange in `server/`, which knows sockets and processes but no routes.
3. An exchange becomes a call of your function in `app/`, which knows routes and types
   but no sockets.  They meet only in `exchange.py`.
"""

from tarry.app.binders import BinderContext
from tarry.app.dispatch import RouteError
from tarry.app.errors import BadParameters, HttpError
from tarry.app.params import Body, Cookie, Cookies, Header, Path, Query
from tarry.app.request import Request
from tarry.app.responses import Html, Redirect, Response, Stream
from tarry.application import App
from tarry.exchange import ClientGone
from tarry.message.cookies import SetCookie
from tarry.message.headers import Headers
from tarry.server.listeners import ListenError
from tarry.server.settings import Limits
from tarry.version import VERSION as _VERSION

__version__ = _VERSION

__all__ = [
    "App", "BadParameters", "BinderContext", "Body", "ClientGone", "Cookie", "Cookies", "Header",
    "Headers", "Html", "HttpError", "Limits", "ListenError", "Path", "Query", "Redirect",
    "Request", "Response", "RouteError", "SetCookie", "Stream",
]  # fmt: skip
