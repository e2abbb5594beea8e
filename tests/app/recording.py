"""Registrars for tests: one that writes down what it is given, one that serves it."""

from __future__ import annotations

from tarry.app.dispatch import Dispatcher
from tarry.app.registration import Registrar
from tarry.app.route_options import Registration


class Recorder(Registrar):
    """Keeps each registration; `places` has methods with path or regular expression."""

    def __init__(self):
        self.all = []

    def _add(self, path, regexp, function, options, origin):
        self.all.append(Registration(path, regexp, function, options, origin))

    @property
    def places(self):
        return [
            f"{','.join(each.options.methods)} {each.path if each.regexp is None else each.regexp}"
            for each in self.all
        ]

    @property
    def only(self):
        [registration] = self.all
        return registration


class Serving(Registrar):
    """Hands everything to a dispatcher."""

    def __init__(self):
        self.dispatcher = Dispatcher()

    def _add(self, path, regexp, function, options, origin):
        self.dispatcher.add(Registration(path, regexp, function, options, origin))
