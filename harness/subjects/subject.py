"""A subject: something whose promises are asked for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import files, packages_distributions, version
from inspect import getfile
from pathlib import Path
from sysconfig import get_path
from typing import Final, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

Kind = Literal["checkpointer", "store"]
BASES: Final[dict[Kind, type]] = {"checkpointer": BaseCheckpointSaver, "store": BaseStore}
"""LangGraph's class that each kind of subject descends from."""
_PYTHON: Final = Path(get_path("stdlib")).resolve()


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be opened, again and again."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an opened subject."""

    kind: Kind
    class_name: str
    """Its module and class."""
    distribution: str
    """Name and version of the distribution that it comes from; empty: none is installed."""
    folders: tuple[Path, ...]
    """Where the code of its classes lies, LangGraph's base class's too, without Python's own."""


def facts_of(opened: object) -> Facts | None:
    """Return what is known of an object; None: it is no kind of subject."""
    for kind, base in BASES.items():
        if isinstance(opened, base):
            made = type(opened)
            return Facts(
                kind=kind,
                class_name=f"{made.__module__}.{made.__qualname__}",
                distribution=_distribution(made),
                folders=tuple({file.parent for one in made.__mro__ if (file := _file(one))}),
            )
    return None


def _file(kind: type) -> Path | None:
    """Return where a class stands; None: in Python itself, or in no file."""
    try:
        file = Path(getfile(kind)).resolve()
    except (OSError, TypeError):
        return None
    is_pythons = file.is_relative_to(_PYTHON) and "site-packages" not in file.parts
    return None if is_pythons else file


def _distribution(kind: type) -> str:
    """Return name and version of the distribution that a class's file belongs to."""
    top, file = kind.__module__.partition(".")[0], _file(kind)
    names = sorted(set(packages_distributions().get(top, [])))
    for name in names:
        owns = any(Path(str(one.locate())).resolve() == file for one in files(name) or ())
        if owns or len(names) == 1:  # an editable one lists no files
            return f"{name} {version(name)}"
    return ""
