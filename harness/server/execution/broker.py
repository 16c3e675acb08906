"""Where readers find what runs say: a channel for each run, and one for each thread they follow."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from harness.server.encoding import encode
from harness.server.execution.budget import EventBudget
from harness.server.execution.channel import Channel
from harness.server.execution.outcomes import Outcome

KEPT_S: Final = 120.0
"""How long an ended, resumable channel can still be read."""
_VALUES_KEPT_S: Final = 1.0
"""How long an ended channel keeps the values that its run left: who waited has them at once."""


Key = tuple[str, str]
"""An owner, and the id of a run or a thread. An id that one has deleted may become another's."""


def run_done(run_id: str) -> dict[str, str]:
    """Return what followers of a thread are told when a run of it has ended."""
    return {"run_id": run_id, "status": "run_done"}


class Broker:
    """The channels of this process, by owner and run.

    Args:
        max_bytes: What they keep together; see `EventBudget`.
        max_bytes_of_owner: What those of one owner keep.
        max_threads_of_owner: How many threads of one owner have a channel.
    """

    def __init__(
        self, *, max_bytes: int, max_bytes_of_owner: int, max_threads_of_owner: int
    ) -> None:
        self.budget = EventBudget(max_bytes, max_bytes_of_owner)
        self._max_threads_of_owner = max_threads_of_owner
        self._channels: dict[Key, Channel] = {}
        self._threads: dict[Key, Channel] = {}
        self._followers: Counter[Key] = Counter()
        self._closed = False

    def find(self, run_id: str, *, owner: str) -> Channel | None:
        """Return the channel of a run, if there is one."""
        return self._channels.get((owner, run_id))

    def open(self, thread_id: str, run_id: str, *, resumable: bool, owner: str) -> Channel:
        """Return the channel of a run, a new one if there is none or it has ended."""
        channel = self._channels.get((owner, run_id))
        if channel is None or channel.ended:
            if channel is not None:
                self._forget(channel)
            channel = Channel(
                thread_id,
                run_id,
                resumable=resumable,
                owner=owner,
                echo=partial(self._threads.get, (owner, thread_id)),
            )
            if self._closed:
                channel.end()
            else:
                self._channels[owner, run_id] = channel
                self.budget.watch(channel)
        return channel

    def end(self, run_id: str, outcome: Outcome | None = None, *, owner: str) -> None:
        """End the channel of a run; a resumable one is kept for a while."""
        channel = self._channels.get((owner, run_id))
        if channel is None or channel.ended:
            return
        self._repeat((owner, channel.thread_id), "metadata", encode(run_done(run_id)))
        channel.end(outcome)
        if channel.resumable:
            loop = asyncio.get_running_loop()
            loop.call_later(_VALUES_KEPT_S, channel.forget_values)
            loop.call_later(KEPT_S, self._forget, channel)
        else:
            self._forget(channel)

    def discard(self, channel: Channel) -> None:
        """End the channel of a run that was never made, and forget it."""
        channel.end()
        self._forget(channel)

    def close(self) -> None:
        """End all channels, and every one that is opened from now on."""
        self._closed = True
        for channel in (*self._channels.values(), *self._threads.values()):
            channel.end()
            self.budget.drop(channel)
        self._channels.clear()
        self._threads.clear()

    @contextmanager
    def following(self, thread_id: str, *, owner: str) -> Iterator[Channel]:
        """Return the channel of everything that the runs of a thread say from now on.

        It does not end with a run. It is kept for a while after the last follower has left, for
        those who come back; where an owner has followed many threads, those that were followed
        first and are no more are forgotten.
        """
        key = owner, thread_id
        channel = self._threads.get(key)
        if channel is None:
            channel = Channel(thread_id, "", resumable=True, owner=owner)
            if self._closed:
                channel.end()
            else:
                self._threads[key] = channel
                self.budget.watch(channel)
                self._forget_threads(owner)
        self._followers[key] += 1
        try:
            yield channel
        finally:
            self._followers[key] -= 1
            asyncio.get_running_loop().call_later(KEPT_S, self._unfollow, key)

    def followed(self) -> dict[str, list[str]]:
        """Return the threads that somebody follows at the moment, by owner."""
        found: dict[str, list[str]] = {}
        for owner, thread_id in self._threads:
            if self._followers[owner, thread_id]:
                found.setdefault(owner, []).append(thread_id)
        return found

    def end_thread(self, thread_id: str, *, owner: str) -> None:
        """Let the followers of a thread go, which is deleted."""
        channel = self._threads.pop((owner, thread_id), None)
        if channel is not None:
            channel.end()
            self.budget.drop(channel)

    def _repeat(self, key: Key, name: str, data: str) -> None:
        channel = self._threads.get(key)
        if channel is not None:
            channel.append(name, data)

    def _unfollow(self, key: Key) -> None:
        if not self._followers[key]:
            del self._followers[key]
            owner, thread_id = key
            self.end_thread(thread_id, owner=owner)

    def _forget_threads(self, owner: str) -> None:
        """Forget threads that an owner follows no more, if they are too many."""
        mine = [one.thread_id for one in self._threads.values() if one.owner == owner]
        left = [thread_id for thread_id in mine[:-1] if not self._followers[owner, thread_id]]
        for thread_id in left[: max(len(mine) - self._max_threads_of_owner, 0)]:
            self.end_thread(thread_id, owner=owner)

    def _forget(self, channel: Channel) -> None:
        self.budget.drop(channel)
        key = channel.owner, channel.run_id
        if self._channels.get(key) is channel:
            del self._channels[key]
