"""Subjects that are known by name: LangGraph's own, and what else is installed beside them."""

import importlib
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from harness.errors import ConfigError
from harness.subjects.factory import opened
from harness.subjects.subject import Kind, Subject


@dataclass(frozen=True, slots=True)
class Known:
    """A subject that can be asked for by its name."""

    name: str
    kind: Kind
    what: str
    """A line for a list."""
    module: str
    """What must be importable."""
    distribution: str
    """What to install where it is not."""
    open: Callable[[], AbstractAsyncContextManager[object]]


@asynccontextmanager
async def _sqlite_saver() -> AsyncIterator[object]:
    module = importlib.import_module("langgraph.checkpoint.sqlite.aio")
    with tempfile.TemporaryDirectory(prefix="harness-sqlite-") as folder:
        path = str(Path(folder) / "checkpoints.sqlite")
        async with module.AsyncSqliteSaver.from_conn_string(path) as saver:
            yield saver


@asynccontextmanager
async def _sqlite_store() -> AsyncIterator[object]:
    module = importlib.import_module("langgraph.store.sqlite.aio")
    with tempfile.TemporaryDirectory(prefix="harness-sqlite-") as folder:
        async with module.AsyncSqliteStore.from_conn_string(f"{folder}/store.sqlite") as store:
            await store.setup()
            yield store


KNOWN: Final = {
    one.name: one
    for one in (
        Known(
            "memory-saver",
            "checkpointer",
            "LangGraph's InMemorySaver",
            "langgraph.checkpoint.memory",
            "langgraph-checkpoint",
            partial(opened, InMemorySaver),
        ),
        Known(
            "sqlite",
            "checkpointer",
            "LangGraph's AsyncSqliteSaver, on a file",
            "langgraph.checkpoint.sqlite.aio",
            "langgraph-checkpoint-sqlite",
            _sqlite_saver,
        ),
        Known(
            "memory-store",
            "store",
            "LangGraph's InMemoryStore",
            "langgraph.store.memory",
            "langgraph-checkpoint",
            partial(opened, InMemoryStore),
        ),
        Known(
            "sqlite-store",
            "store",
            "LangGraph's AsyncSqliteStore, on a file",
            "langgraph.store.sqlite.aio",
            "langgraph-checkpoint-sqlite",
            _sqlite_store,
        ),
    )
}


def known(name: str) -> Subject:
    """Return a known subject.

    Raises:
        ConfigError: There is none of that name, or it is not installed; says what to do.
    """
    found = KNOWN.get(name)
    if found is None:
        names = ", ".join(KNOWN)
        raise ConfigError(
            f"there is no subject {name!r}: name a factory (package.module:attribute) or one of "
            f"{names}"
        )
    try:
        importlib.import_module(found.module)
    except ImportError as exc:
        raise ConfigError(
            f"{name} is not installed: run `uv pip install {found.distribution}`"
        ) from exc
    return Subject(name, found.open)
