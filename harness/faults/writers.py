"""A crew of concurrent writers that go on through every fault, until they are told to stop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from harness.faults.ledger import Ledger
from harness.faults.life import Life
from harness.faults.pen import LifeOver
from harness.storage.extensions import FullStorage

WRITERS: Final = 20


class Crew:
    """Writers over all five resources of one storage, as an async context manager.

    Each lives one life after another: a life ends when the outcome of a write is unknown. Leaving
    the block lets every writer end its turn; an error in one of them ends the block.

    Args:
        storage: Where to write.
        ledger: Where to record it.
        writers: How many at once.
    """

    def __init__(self, storage: FullStorage, ledger: Ledger, *, writers: int = WRITERS) -> None:
        self._storage = storage
        self.ledger = ledger
        self._writers = writers
        self._group = asyncio.TaskGroup()
        self._stopping = asyncio.Event()
        self._turned = asyncio.Event()
        self._name = uuid4().hex[:12]
        self._alive: dict[int, str] = {}

    @property
    def writing(self) -> frozenset[str]:
        """The owners that somebody writes for now."""
        return frozenset(self._alive.values())

    def stop(self) -> None:
        """Let every writer end the turn it is in."""
        self._stopping.set()

    async def until(self, reached: Callable[[Ledger], bool]) -> None:
        """Wait until the ledger satisfies a condition, which is asked after each turn."""
        while not reached(self.ledger):
            self._turned.clear()
            await self._turned.wait()

    async def acknowledged(self, more: int) -> None:
        """Wait until so many writes more than now are acknowledged."""
        goal = self.ledger.total("acknowledged") + more
        await self.until(lambda ledger: ledger.total("acknowledged") >= goal)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        for number in range(self._writers):
            self._group.create_task(self._write(number))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        await self._group.__aexit__(exc_type, exc, traceback)

    async def _write(self, number: int) -> None:
        generation = 0
        while not self._stopping.is_set():
            owner = f"writer-{self._name}-{number}-{generation}"
            self._alive[number] = owner
            life = Life(self._storage, self.ledger, owner)
            with suppress(LifeOver):
                while not self._stopping.is_set():
                    await life.turn()
                    self._turned.set()
                    await asyncio.sleep(0)  # a store that never waits must not keep the loop
            generation += 1
        self._alive.pop(number, None)
