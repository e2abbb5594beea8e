"""Finds the `App` that a command is about, in a file or a module."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tarry.application import App

_NO_TRACEBACK_OF: Final = (
    f"{Path(__file__).parent.parent}/",
    str(importlib.__file__),
    "<frozen importlib",
)
"""Files whose lines tell an author nothing."""


class CommandError(Exception):
    """A command cannot go on; the text says in one line why, and what to do."""


class _ServesWhileLoaded(BaseException):
    """The file serves as soon as it is imported; no `except Exception` there may hide it."""


def load_app(target: str) -> App:
    """The app of `app.py`, `app.py:name`, `package.module` or `package.module:name`.

    Without a name it is `app`, else the only `App` there.  The folder of the
    file, or the current one for a module, comes first on `sys.path`, as with
    `python app.py` and `python -m package.module`.

    Raises:
        CommandError: there is no such file, module or app, or it cannot be
            imported; then the author's traceback has been printed.
    """
    source, name = _split(target)
    is_file = source.endswith(".py") or "/" in source
    with _not_serving(source):
        module = _load_file(Path(source)) if is_file else _load_module(source)
    return _named_app(module, source, name) if name else _only_app(module, source)


def _split(target: str) -> tuple[str, str]:
    source, colon, name = target.rpartition(":")
    if not colon:
        return target, ""
    if not source or not name.isidentifier():
        raise CommandError(f"{target!r} is neither FILE nor FILE:NAME, such as app.py:app")
    return source, name


# ---- importing -----------------------------------------------------------------------


def _load_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise CommandError(f"{path} is a folder; name the file in it that has the App")
    if not path.is_file():
        raise CommandError(f"there is no file {path}; is the current folder the right one?")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    # A file named like a module that is loaded already must not take its place.
    name = path.stem if path.stem not in sys.modules else f"_tarry_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{path} is no Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _import_errors(path.name):
        spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise CommandError(f"{name!r} is neither a file that ends with .py nor a module name")
    sys.path.insert(0, str(Path.cwd()))
    with _import_errors(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # One that the module itself imports is the author's error instead.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            hint = f"; did you mean {name}.py?" if Path(f"{name}.py").is_file() else ""
            raise CommandError(f"there is no module {error.name}{hint}") from error


@contextmanager
def _import_errors(source: str) -> Iterator[None]:
    try:
        yield
    except CommandError:
        raise
    except SystemExit as error:
        raise CommandError(f"{source} ended the program while it was imported") from error
    except Exception as error:
        print(_authors_traceback(error), end="", file=sys.stderr)
        raise CommandError(f"{source} cannot be imported; its error is above") from error


def _authors_traceback(error: BaseException) -> str:
    """The traceback without the lines of Tarry and of the import system."""
    told = traceback.TracebackException.from_exception(error)
    _strip(told)
    return "".join(told.format())


def _strip(told: traceback.TracebackException | None) -> None:
    if told is not None:
        kept = [line for line in told.stack if not line.filename.startswith(_NO_TRACEBACK_OF)]
        told.stack = traceback.StackSummary.from_list(kept)
        _strip(told.__cause__)
        _strip(told.__context__)


@contextmanager
def _not_serving(source: str) -> Iterator[None]:
    """Have a call of `app.run` outside of the usual `if` refused instead of never returning."""
    run = App.run

    def refuse(self: App, **settings: Any) -> None:
        raise _ServesWhileLoaded

    App.run = refuse  # type: ignore[method-assign]  # because only for as long as the import
    try:
        yield
    except _ServesWhileLoaded as error:
        raise CommandError(
            f"{source} calls run() while it is imported; "
            'put that line below: if __name__ == "__main__":'
        ) from error
    finally:
        App.run = run  # type: ignore[method-assign]  # because it is put back


# ---- choosing ------------------------------------------------------------------------


def _named_app(module: ModuleType, source: str, name: str) -> App:
    found = getattr(module, name, None)
    if isinstance(found, App):
        return found
    if found is None:
        raise CommandError(f"{source} has no {name}; {_what_is_there(module)}")
    raise CommandError(f"{name} in {source} is no App but of type {type(found).__name__}")


def _only_app(module: ModuleType, source: str) -> App:
    apps = _apps(module)
    if "app" in apps:
        return apps["app"]
    if not apps:
        raise CommandError(f"{source} has no App; {_what_is_there(module)}")
    if len({id(app) for app in apps.values()}) > 1:
        names = ", ".join(apps)
        raise CommandError(
            f"{source} has several Apps: {names}; choose one, such as {source}:{next(iter(apps))}"
        )
    return next(iter(apps.values()))


def _apps(module: ModuleType) -> dict[str, App]:
    return {name: value for name, value in vars(module).items() if isinstance(value, App)}


def _what_is_there(module: ModuleType) -> str:
    apps = ", ".join(_apps(module))
    if apps:
        return f"its Apps: {apps}"
    names = ", ".join(name for name in vars(module) if not name.startswith("_"))
    return f"it defines {names}" if names else "it defines nothing"
