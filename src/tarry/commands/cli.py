"""The command line: `tarry run`, `tarry routes`, `tarry waits`, `tarry wake` and so on.

Each command imports what it needs when it runs, so that the others start fast.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from tarry.version import VERSION

TARGET_HELP: Final = "app.py, package.module, or either with :NAME; NAME is app if not given"


def main(arguments: list[str] | None = None) -> int:
    """Run a command with the arguments of the program, or these; its exit status.

    0 is well, 1 a command that failed, 2 a command line that cannot be read.
    """
    parser = _parser()
    try:
        chosen = vars(parser.parse_args(arguments))
    except SystemExit as error:
        return _told(error)
    command: Callable[..., int] | None = chosen.pop("command", None)
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return command(**chosen)
    except SystemExit as error:
        return _told(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_left()


def _told(error: SystemExit) -> int:
    """The status of an exit; its text, if it has one, goes to stderr."""
    if isinstance(error.code, str):
        print(error.code, file=sys.stderr)
        return 1
    return error.code or 0


def _reader_left() -> int:
    """End quietly when the output is cut, as by `| head`; closing must not fail again."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


# ---- the commands --------------------------------------------------------------------


def _run(target: str, **settings: Any) -> int:
    from tarry.commands.loading import CommandError, load_app
    from tarry.server.settings import ServerSettings
    from tarry.server.worker import loop_factory

    try:
        # What is wrong with a setting is said before the file is imported.
        loop_factory(ServerSettings(**settings).loop)
        app = load_app(target)
    except (CommandError, ValueError) as error:
        return _failed(error)
    app.run(**settings)
    return 0


def _routes(target: str, *, table: bool) -> int:
    from tarry.commands.loading import CommandError, load_app
    from tarry.commands.tables import table_of

    try:
        app = load_app(target)
    except CommandError as error:
        return _failed(error)
    rows = app.routes()
    if not rows:
        print(f"tarry: {target} has no routes", file=sys.stderr)
    elif table:
        print(table_of([("METHODS", "PATH", "HANDLER"), *rows]))
    else:
        print(app.site_map())
    return 0


def _mirror_js(destination: str, *, classic: bool, force: bool) -> int:
    from tarry.commands.mirror import mirror_js

    return mirror_js(destination, classic=classic, force=force)


def _version() -> int:
    print(f"tarry {VERSION}")
    return 0


def _failed(error: Exception) -> int:
    print(f"tarry: {error}", file=sys.stderr)
    return 1


def _at_desk(action: str, **arguments: Any) -> int:
    from tarry.commands import desk

    chosen: Callable[..., int] = getattr(desk, action)
    return chosen(**arguments)


def _ask(**arguments: Any) -> int:
    from tarry.commands.ask import ask

    return ask(**arguments)


# ---- the arguments -------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tarry",
        description="A light, asynchronous web server and framework in which a request can wait.",
        epilog="tarry COMMAND --help tells more about a command.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_routes(commands)
    _add_lists(commands)
    _add_settling(commands)
    _add_ask(commands)
    _add_mirror_js(commands)
    version = commands.add_parser("version", help="print the version", allow_abbrev=False)
    version.set_defaults(command=_version)
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="serve an app until Ctrl-C or SIGTERM",
        description="Serve an app until Ctrl-C or SIGTERM.",
        # What is not given stays out, so that the defaults have one home: ServerSettings.
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    run.add_argument("target", metavar="FILE[:NAME]", help=TARGET_HELP)
    run.add_argument("--host", help="address to listen on (127.0.0.1; 0.0.0.0 for all)")
    run.add_argument("--port", type=_port, help="TCP port (8000; 0 for a free one)")
    run.add_argument(
        "--loop",
        choices=("auto", "uvloop", "asyncio"),
        help="event loop (auto: uvloop if it is there)",
    )
    run.add_argument(
        "--no-access-log", dest="access_log", action="store_false", help="no line for each request"
    )
    run.set_defaults(command=_run)


def _add_routes(commands: Any) -> None:
    routes = commands.add_parser(
        "routes",
        help="print the site map of an app",
        description="Print the site map of an app: paths, methods and handlers.",
        allow_abbrev=False,
    )
    routes.add_argument("target", metavar="FILE[:NAME]", help=TARGET_HELP)
    routes.add_argument("--table", action="store_true", help="one row for each route instead")
    routes.set_defaults(command=_routes)


def _add_lists(commands: Any) -> None:
    waits = commands.add_parser(
        "waits",
        help="list what is waited for",
        description="List what is waited for, and what was and is kept still.",
        epilog="AGE is how long it has been there, LEFT how long until it expires or is forgotten.",
        allow_abbrev=False,
    )
    _add_list(waits, "show_waits")
    jobs = commands.add_parser(
        "jobs",
        help="list what is worked on",
        description="List what is worked on or waits for its turn, and what was and is kept still.",
        epilog="A number behind the state is the position in the queue of the group.",
        allow_abbrev=False,
    )
    _add_list(jobs, "show_jobs")


def _add_list(command: Any, function: str) -> None:
    command.add_argument("--state", help="only those in a state, such as waiting or done")
    shown = command.add_mutually_exclusive_group()
    shown.add_argument(
        "--json", dest="as_json", action="store_true", help="as JSON, with whole tickets"
    )
    shown.add_argument("--watch", action="store_true", help="keep it up to date until Ctrl-C")
    _add_store(command)
    command.set_defaults(command=functools.partial(_at_desk, function))


def _add_settling(commands: Any) -> None:
    for action, told, name in (
        ("wake", "answer who waits with a value", "TOKEN_OR_KEY"),
        ("fail", "answer who waits with an error", "TOKEN_OR_KEY"),
        ("cancel", "end a wait without a value", "TICKET_OR_KEY"),
    ):
        parser = commands.add_parser(
            action,
            help=told,
            description=f"{told[0].upper()}{told[1:]}.",
            epilog="The exit status is 0 if it was the first to settle the wait, and 1 if it was"
            " settled already or nobody knows it.",
            allow_abbrev=False,
        )
        parser.add_argument("name", metavar=name)
        if action == "wake":
            parser.add_argument("value", metavar="JSON", help='such as 5 or {"ok":true}')
            parser.add_argument("--text", action="store_true", help="take the value as text")
        if action == "fail":
            parser.add_argument(
                "detail", metavar="DETAIL", nargs="?", default="", help="a sentence"
            )
            parser.add_argument(
                "--status", type=_error_status, default=500, help="HTTP status (500)"
            )
        _add_store(parser)
        parser.set_defaults(command=functools.partial(_at_desk, action))


def _add_ask(commands: Any) -> None:
    ask = commands.add_parser(
        "ask",
        help="ask a server, and wait for the answer",
        description="Ask a server and print its answer, however long it takes.",
        epilog="Ctrl-C cancels the request. What went wrong is told on stderr, with status 1.",
        allow_abbrev=False,
    )
    ask.add_argument("url", metavar="URL", help="of a route, or of a ticket")
    ask.add_argument(
        "payload", metavar="JSON", nargs="?", help="what is sent, with POST; - reads it from stdin"
    )
    ask.add_argument("--method", help="another one than GET without and POST with JSON")
    ask.add_argument(
        "--header",
        "-H",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="may be repeated",
    )
    ask.add_argument("--timeout", metavar="DURATION", help="such as 90s or 2h (no end)")
    ask.add_argument("--output", "-o", metavar="FILE", help="write the answer there")
    ask.add_argument("--keep", action="store_true", help="let it go on after Ctrl-C")
    ask.set_defaults(command=_ask)


def _add_mirror_js(commands: Any) -> None:
    mirror = commands.add_parser(
        "mirror-js",
        help="copy the browser's script for a bundler",
        description="Copy the browser's script and its types, for a bundler or another server.",
        epilog="A copy is as old as the Tarry that wrote it; the one that is served never is.",
        allow_abbrev=False,
    )
    mirror.add_argument(
        "destination", metavar="DEST", help="a folder, or a file that ends in .js or .mjs"
    )
    mirror.add_argument(
        "--classic", action="store_true", help="the script that defines tarry, and no ES module"
    )
    mirror.add_argument(
        "--force", action="store_true", help="overwrite files that are no such copies"
    )
    mirror.set_defaults(command=_mirror_js)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        default="sqlite",
        metavar="ADDRESS",
        help='that of the app: "sqlite:PATH" (sqlite, which is .tarry/state.db in this folder)',
    )


def _error_status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 3 and 400 <= int(text) <= 599):
        raise argparse.ArgumentTypeError(f"must be from 400 to 599, not {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text!r}")
    return int(text)
