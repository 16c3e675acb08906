"""Finds what a `langgraph.json` names: `path/to/file.py:variable` or `package.module:variable`."""

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from harness.errors import ConfigError


def import_from(folders: Iterable[Path]) -> None:
    """Have modules be found in folders, such as those of a `langgraph.json`."""
    for place in map(str, folders):
        if place not in sys.path:
            sys.path.insert(0, place)


def is_installed(dependency: str) -> bool:
    """Whether a package of `dependencies` is here, in a version that was asked for.

    What is no requirement of PEP 508, such as the address of a repository, counts as missing:
    nobody can tell its package.
    """
    try:
        wanted = Requirement(dependency)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        version = importlib.metadata.version(wanted.name)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False
    return wanted.specifier.contains(version, prereleases=True)


def load(what: str, target: str, folder: Path, *, module: str) -> Any:
    """Return an object out of a module.

    Args:
        what: What it is, for errors.
        target: Where it is.
        folder: What paths are relative to.
        module: What a file is called among modules: stored objects name their classes by it.

    Raises:
        ConfigError: It is not there, or its module cannot be imported; says why.
    """
    place, colon, variable = target.rpartition(":")
    if not colon:
        raise ConfigError(f"{what} must be file.py:variable, not {target!r}")
    try:
        if place.endswith(".py"):
            return attrgetter(variable)(_module(module, (folder / place).resolve()))
        return attrgetter(variable)(importlib.import_module(place))
    except (Exception, SystemExit) as exc:  # whatever the user's module raises
        raise ConfigError(f"{what} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def _module(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
