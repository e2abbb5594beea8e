"""What `import tarry` offers: the names in `__all__`, all of them, and nothing else."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from types import ModuleType

import tarry


def test_every_listed_name_exists():
    missing = [name for name in tarry.__all__ if not hasattr(tarry, name)]

    assert not missing


def test_no_name_is_listed_twice():
    assert len(tarry.__all__) == len(set(tarry.__all__))


def test_every_public_name_is_listed():
    found = {
        name
        for name, value in vars(tarry).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert found - {"annotations"} <= set(tarry.__all__)


def test_type_checkers_are_told_that_tarry_is_typed():
    assert files("tarry").joinpath("py.typed").is_file()


def test_the_version_is_that_of_the_installed_project():
    assert tarry.__version__ == version("tarry")
