"""Followers of threads, who are let go when their thread is gone, whichever process deleted it."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from harness.errors import HarnessError
from harness.server.execution.broker import Broker
from harness.server.execution.channel import Channel
from harness.storage.checks import MAX_LIMIT
from harness.storage.extensions import FullStorage

logger = logging.getLogger("harness.server")

LOOK_S: Final = 1.0
"""Between two looks whether the threads that somebody follows are still there."""


class Followers:
    """The followers that this process has, of all owners' threads.

    Args:
        storage: Where the threads are.
        broker: Where their channels are.
    """

    def __init__(self, storage: FullStorage, broker: Broker) -> None:
        self._storage, self._broker = storage, broker
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def following(self, thread_id: str, *, owner: str) -> Iterator[Channel]:
        """Return a thread's channel, as `Broker.following` does; it ends soon after the thread."""
        with self._broker.following(thread_id, owner=owner) as channel:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="looks for deleted threads")
            yield channel

    def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        """Let followers go whose threads are gone, for as long as anybody follows any."""
        while self._broker.followed():
            await asyncio.sleep(LOOK_S)
            for owner, thread_ids in self._broker.followed().items():
                try:
                    for n in range(0, len(thread_ids), MAX_LIMIT):
                        await self._let_go(thread_ids[n : n + MAX_LIMIT], owner)
                except HarnessError as exc:  # they are looked for again
                    logger.info("followed threads cannot be looked for: %s", exc)

    async def _let_go(self, thread_ids: Sequence[str], owner: str) -> None:
        threads = self._storage.threads
        if await threads.count(ids=thread_ids, owner=owner) == len(thread_ids):
            return  # which is the rule, and reads no values
        found = await threads.search(ids=thread_ids, limit=MAX_LIMIT, owner=owner)
        for thread_id in {*thread_ids} - {thread.thread_id for thread in found}:
            self._broker.end_thread(thread_id, owner=owner)
