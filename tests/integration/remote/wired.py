"""A storage that is asked over the wire, with a back door for what no caller of the API can do."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from harness.models import SYSTEM
from harness.storage.extensions import FullStorage
from harness.storage.remote import RemoteStorage
from tests.integration import owners
from tests.integration.remote.door import Door, opened
from tests.integration.serving import ForkedServed

_GRAPHS: Final = Path(__file__).with_name("langgraph.json")
_SETTINGS: Final = {**owners.SETTINGS, "HARNESS_CONCURRENCY": "0"}


class _Server(ForkedServed):
    main = "tests.integration.remote.server:main"
    words = ()


@dataclass(frozen=True, slots=True)
class Wired:
    """A live server: over the wire, and through its back door."""

    remote: RemoteStorage
    """What is under test, with a token for each owner."""
    door: Door
    storage: FullStorage
    """`remote` where the API has the call, and for owners that it lets in.

    Calls that the API does not have, and all of owner `system`, whom nobody can be over the wire,
    take the back door: they plant what the others are asked for.
    """


@contextlib.asynccontextmanager
async def wired(database_url: str | None) -> AsyncIterator[Wired]:
    """Start a server that asks for tokens, and that executes no runs: what is pending stays so.

    Args:
        database_url: What it stores in; None: memory.
    """
    async with (
        _Server(database_url, graphs=_GRAPHS, settings=_SETTINGS) as server,
        RemoteStorage(server.url, _headers) as remote,
        opened(server.http()) as door,
    ):
        yield Wired(remote, door, cast("FullStorage", _Both(remote, door)))


def _headers(owner: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {owners.token_of(owner)}"}


class _Both:
    def __init__(self, remote: RemoteStorage, door: Door) -> None:
        for name in ("assistants", "threads", "runs", "items", "crons"):
            setattr(self, name, _Resource(getattr(remote, name), door.behind(name)))


class _Resource:
    def __init__(self, remote: Any, behind: Any) -> None:
        self._remote, self._behind = remote, behind

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        behind: Callable[..., Awaitable[Any]] = getattr(self._behind, method)
        over_the_wire = getattr(self._remote, method, None)
        if over_the_wire is None:
            return behind

        async def call(*args: Any, **kwargs: Any) -> Any:
            asked = behind if kwargs.get("owner") == SYSTEM else over_the_wire
            return await asked(*args, **kwargs)

        return call
