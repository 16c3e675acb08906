"""Subjects that a user names: `package.module:attribute` or `file.py:attribute`."""

import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.server.loading import import_from, load
from harness.subjects.subject import BASES, Subject


def named(spec: str) -> Subject:
    """Return the subject that a factory makes.

    Args:
        spec: `package.module:attribute`, importable from the working directory too, or
            `file.py:attribute`. The attribute is a function, coroutine function, generator
            function, class, or the object itself; what it makes may be an (asynchronous) context
            manager.

    Raises:
        ConfigError: There is no such thing; says why.
    """
    module, colon, attribute = spec.partition(":")
    if not (colon and module and attribute):
        raise ConfigError(f"a subject is named package.module:attribute, not {spec!r}")
    import_from([Path.cwd()])
    factory = load(spec, spec, Path.cwd(), module="harness_subject")
    return Subject(spec, partial(opened, factory))


@asynccontextmanager
async def opened(factory: Any) -> AsyncIterator[object]:
    """Enter whatever a factory makes, and leave it again."""
    async with AsyncExitStack() as stack:
        made = factory
        if callable(made) and not isinstance(made, tuple(BASES.values())):
            made = made()
        if inspect.isasyncgen(made):
            made = asynccontextmanager(lambda: made)()
        if inspect.isawaitable(made):
            made = await made
        if hasattr(made, "__aenter__"):
            made = await stack.enter_async_context(made)
        elif hasattr(made, "__enter__"):
            made = stack.enter_context(made)
        yield made
