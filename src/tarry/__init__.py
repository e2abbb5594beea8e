"""Tarry: a web server and framework in which a request can wait.

How it is built, in three sentences:

1. Bytes become events in `protocol/`, which knows no sockets and no clock.
2. Events become an exchange in `server/`, which knows sockets and processes but no routes.
3. An exchange becomes a call of your function in `app/`, which knows routes and types
   but no sockets.  They meet only in `exchange.py`.
"""

from tarry.app.answered import Answered
from tarry.app.binders import BinderContext, Groups
from tarry.app.conditions import all_of, any_of
from tarry.app.controllers import controller, delete, get, patch, post, put, route
from tarry.app.dispatch import RouteError
from tarry.app.errors import BadParameters, HttpError
from tarry.app.events import Event
from tarry.app.filters import Filter
from tarry.app.forms import FormData, FormLimits
from tarry.app.params import Body, Cookie, Cookies, File, Form, Header, Path, Query
from tarry.app.path_values import BuildError
from tarry.app.request import CurrentRequest as _CurrentRequest
from tarry.app.request import Request
from tarry.app.responses import (
    Events,
    Html,
    Redirect,
    Response,
    SendFile,
    ServerEvent,
    Stream,
)
from tarry.app.route_options import RegistrationError
from tarry.app.scanning import ScanError
from tarry.app.uploads import Upload, safe_filename
from tarry.app.websockets import WebSocket
from tarry.application import App
from tarry.exchange import BodyTooLarge, ClientGone, WebSocketClosed
from tarry.features.compression import Compression
from tarry.jobs.job import Job, JobCancelled
from tarry.jobs.jobs import TooManyJobs
from tarry.message.cookies import SetCookie
from tarry.message.headers import Headers
from tarry.server.listeners import ListenError
from tarry.server.settings import Limits
from tarry.version import VERSION as _VERSION
from tarry.waiting.errors import WaitCancelled, WaitExpired, WaitFailed
from tarry.waiting.values import BadValue
from tarry.waiting.waits import Wait

__version__ = _VERSION

request = _CurrentRequest()

__all__ = [
    "Answered", "App", "BadParameters", "BadValue", "BinderContext", "Body", "BodyTooLarge",
    "BuildError", "ClientGone", "Compression", "Cookie", "Cookies", "Event", "Events", "File",
    "Filter", "Form", "FormData", "FormLimits", "Groups", "Header", "Headers", "Html",
    "HttpError", "Job", "JobCancelled", "Limits", "ListenError", "Path", "Query", "Redirect",
    "RegistrationError", "Request", "Response", "RouteError", "ScanError", "SendFile",
    "ServerEvent", "SetCookie", "Stream", "TooManyJobs", "Upload", "Wait", "WaitCancelled",
    "WaitExpired", "WaitFailed", "WebSocket", "WebSocketClosed", "all_of", "any_of",
    "controller", "delete", "get", "patch", "post", "put", "request", "route", "safe_filename",
]  # fmt: skip
