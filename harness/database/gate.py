"""Who gets a connection next: owners by turns, and none of them more than a part."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

NOBODY: Final = ""
"""Who the work belongs to that is done for no owner: leases, claims, and ends of runs."""
_owner: Final = ContextVar("harness_database_owner", default=NOBODY)


@contextmanager
def on_behalf_of(owner: str) -> Iterator[None]:
    """Say for whom connections are taken in this block, and in the tasks that it starts."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


def beneficiary() -> str:
    """Return for whom connections are taken here."""
    return _owner.get()


class Gate:
    """Lets in as many as there is room for. Of those who wait, owners take turns.

    An owner who asks for many connections at once waits behind its own requests, and delays
    another's by no more than one each turn.

    Args:
        room: How many are inside at the same time.
        share: How many of one owner; work that is nobody's is not bounded so.
    """

    def __init__(self, room: int, share: int) -> None:
        self._room, self._share = room, share
        self._inside: Counter[str] = Counter()
        self._total = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By owner; whose turn is next stands first."""

    async def enter(self, owner: str, timeout_s: float) -> None:
        """Wait for room.

        Raises:
            TimeoutError: There was none in time.
        """
        if self._admits(owner):
            self._let_in(owner)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it was let in, and leaves at once
                self.leave(owner)
            else:
                self._forget(owner, turn)
            raise

    def leave(self, owner: str) -> None:
        """Make room again."""
        self._total -= 1
        self._inside[owner] -= 1
        if not self._inside[owner]:
            del self._inside[owner]
        while (following := next(filter(self._admits, self._waiting), None)) is not None:
            queue = self._waiting.pop(following)
            turn = queue.popleft()
            if queue:
                self._waiting[following] = queue  # behind all others
            if not turn.done():  # it may be giving up at this moment
                self._let_in(following)
                turn.set_result(None)

    def _admits(self, owner: str) -> bool:
        """Whether there is room. If so, whoever else waits has a full share already."""
        return self._total < self._room and (owner == NOBODY or self._inside[owner] < self._share)

    def _let_in(self, owner: str) -> None:
        self._total += 1
        self._inside[owner] += 1

    def _forget(self, owner: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(owner)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[owner]
