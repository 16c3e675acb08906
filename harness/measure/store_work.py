"""What stores are timed at: puts, gets and searches, one after another and all at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, get_args

from langgraph.store.base import BaseStore, PutOp

from harness.errors import ResultsError
from harness.measure.names import Operation, Way
from harness.measure.rows import OWNER
from harness.measure.store_sites import StoreSite
from harness.persistence.owner import owner_scope

_MEMORIES: Final = 10
"""Items that each user has."""
_LIKED: Final = 5
"""How many of them a search finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWork:
    """Operations on the memories of as many users, a user each."""

    operation: Operation
    way: Way
    operations: int
    users: int
    """Whose memories are there; none for puts."""

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.operation}_{self.way}"

    @property
    def planted(self) -> int:
        """How many items there are before."""
        return self.users * _MEMORIES

    async def run(self, store: BaseStore) -> int:
        """Do all of it and return what came of it, summed up."""
        call = _CALLS[self.operation]
        if self.way == "alone":
            return sum([await call(store, user) for user in range(self.operations)])
        return sum(await asyncio.gather(*(call(store, user) for user in range(self.operations))))

    def check(self, found: int, left: int) -> None:
        """Raise when the work was not done.

        Raises:
            ResultsError: Says what there is, and what there should be.
        """
        each = _LIKED if self.operation == "search" else 1
        there = self.operations if self.operation == "put" else self.planted
        if (found, left) != (self.operations * each, there):
            raise ResultsError(
                f"{self.name} of {self.operations} found {found} and left {left} items, "
                f"where {self.operations * each} and {there} were expected"
            )


def store_works(items: int, callers: int) -> list[StoreWork]:
    """Return the works: reads before puts, so that what they read is planted once.

    Args:
        items: How many operations follow one after another.
        callers: How many there are at once.
    """
    users = max(items, callers)
    sizes: dict[Way, int] = {"alone": items, "at_once": callers}
    return [
        StoreWork(
            operation=operation,
            way=way,
            operations=sizes[way],
            users=0 if operation == "put" else users,
        )
        for operation in reversed(get_args(Operation))
        for way in get_args(Way)
    ]


class StoreCase:
    """A store at work (a `harness.measure.paired.Case`)."""

    def __init__(self, site: StoreSite, work: StoreWork) -> None:
        self._site, self._work = site, work
        self._found = 0

    async def prepare(self) -> None:
        """Plant what is read, unless it is there; start puts from nothing."""
        if self._work.operation == "put" or await self._site.count() != self._work.planted:
            await self._site.clear()
            if self._work.planted:
                await self._site.plant(_memories(self._work.users))

    async def run(self) -> None:
        """Do the work."""
        with owner_scope(OWNER):
            self._found = await self._work.run(self._site.store)

    async def verify(self) -> None:
        """Count."""
        self._work.check(self._found, await self._site.count())


async def _put(store: BaseStore, user: int) -> int:
    await store.aput(_home(user), "k0", _memory(0))
    return 1


async def _get(store: BaseStore, user: int) -> int:
    item = await store.aget(_home(user), "k0")
    return int(item is not None and item.value == _memory(0))


async def _search(store: BaseStore, user: int) -> int:
    return len(await store.asearch(_home(user), filter={"topic": "tea"}))


_CALLS: Final[dict[Operation, Callable[[BaseStore, int], Awaitable[int]]]] = {
    "put": _put,
    "get": _get,
    "search": _search,
}


def _memories(users: int) -> list[PutOp]:
    return [
        PutOp(_home(user), f"k{number}", _memory(number))
        for user in range(users)
        for number in range(_MEMORIES)
    ]


def _home(user: int) -> tuple[str, ...]:
    return ("memories", f"user-{user:05}")


def _memory(number: int) -> dict[str, Any]:
    topic = "tea" if number < _LIKED else "coffee"
    return {"topic": topic, "text": f"Likes {topic}, says message {number}.", "n": number}
