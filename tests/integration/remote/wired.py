"""A storage that is asked over the wire, with a back door for what no caller of the API can do."""

import base64
import pickle
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import httpx

from harness.models import SYSTEM
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe
from harness.storage.remote import RemoteStorage

SERVER: Final = (sys.executable, str(Path(__file__).with_name("server.py")))
"""The command of a server with a back door."""
GRAPHS: Final = Path(__file__).with_name("langgraph.json")
"""Graphs of every name that the contract uses."""
_PATH: Final = "/door"


class Door:
    """The back door of a server: calls what lies behind it.

    Args:
        http: A client of the server.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def empty(self) -> None:
        """Have everything deleted."""
        await self._ask("door", "empty")

    @property
    def probe(self) -> Probe:
        """The raw rows of the server's storage."""
        return cast("Probe", self.behind("probe"))

    def behind(self, target: str) -> Any:
        """Return an object whose methods are those of the server's own object of that name."""
        return _Behind(self._ask, target)

    async def _ask(self, target: str, method: str, *args: Any, **kwargs: Any) -> Any:
        given = base64.b64encode(pickle.dumps((target, method, args, kwargs))).decode()
        answer = await self._http.post(_PATH, json={"pickled": given})
        answer.raise_for_status()
        result = pickle.loads(base64.b64decode(answer.json()))  # noqa: S301 -- of our own server
        if isinstance(result, Exception):
            raise result
        return result


class _Behind:
    def __init__(self, ask: Callable[..., Awaitable[Any]], target: str) -> None:
        self._ask, self._target = ask, target

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._ask(self._target, method, *args, **kwargs)

        return call


class _Resource:
    """One resource: over the wire where the API has the call, and for owners that it lets in."""

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


class WiredStorage:
    """A `FullStorage` whose five resources are asked over the wire.

    Calls that the API does not have, and all of owner `system`, whom nobody can be over the wire,
    take the back door: they plant what the others are asked for.
    """

    def __init__(self, remote: RemoteStorage, door: Door) -> None:
        self.assistants = _Resource(remote.assistants, door.behind("assistants"))
        self.threads = _Resource(remote.threads, door.behind("threads"))
        self.runs = _Resource(remote.runs, door.behind("runs"))
        self.items = _Resource(remote.items, door.behind("items"))
        self.crons = _Resource(remote.crons, door.behind("crons"))


def wired(remote: RemoteStorage, door: Door) -> FullStorage:
    """Return what the contract takes for a storage."""
    return cast("FullStorage", WiredStorage(remote, door))
