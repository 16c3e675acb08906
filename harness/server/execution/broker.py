"""Where readers find what runs say: a channel for each run, and one for each thread they follow."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from harness.server.encoding import encode
from harness.server.execution.channel import Channel
from harness.server.execution.outcomes import Outcome

KEPT_S: Final = 120.0
"""How long an ended, resumable channel can still be read."""
MAX_KEPT_BYTES: Final = 256 * 2**20
"""What all ended channels keep together; those that ended first are forgotten first."""


def run_done(run_id: str) -> dict[str, str]:
    """Return what followers of a thread are told when a run of it has ended."""
    return {"run_id": run_id, "status": "run_done"}


class Broker:
    """The channels of this process, by run."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._threads: dict[str, Channel] = {}
        self._followers: Counter[str] = Counter()
        self._closed = False

    def find(self, run_id: str) -> Channel | None:
        """Return the channel of a run, if there is one."""
        return self._channels.get(run_id)

    def open(self, thread_id: str, run_id: str, *, resumable: bool) -> Channel:
        """Return the channel of a run, a new one if there is none or it has ended."""
        channel = self._channels.get(run_id)
        if channel is None or channel.ended:
            channel = Channel(
                thread_id, run_id, resumable=resumable, echo=partial(self._threads.get, thread_id)
            )
            if self._closed:
                channel.end()
            else:
                self._channels[run_id] = channel
        return channel

    def end(self, run_id: str, outcome: Outcome | None = None) -> None:
        """End the channel of a run; a resumable one is kept for a while."""
        channel = self._channels.get(run_id)
        if channel is None or channel.ended:
            return
        self._repeat(channel.thread_id, "metadata", encode(run_done(run_id)))
        channel.end(outcome)
        if channel.resumable:
            asyncio.get_running_loop().call_later(KEPT_S, self._forget, channel)
            self._make_room()
        else:
            self._forget(channel)

    def close(self) -> None:
        """End all channels, and every one that is opened from now on."""
        self._closed = True
        for channel in (*self._channels.values(), *self._threads.values()):
            channel.end()
        self._channels.clear()
        self._threads.clear()

    @contextmanager
    def following(self, thread_id: str) -> Iterator[Channel]:
        """Return the channel of everything that the runs of a thread say from now on.

        It does not end with a run. It is kept for a while after the last follower has left, for
        those who come back.
        """
        channel = self._threads.get(thread_id)
        if channel is None:
            channel = Channel(thread_id, "", resumable=True)
            if self._closed:
                channel.end()
            else:
                self._threads[thread_id] = channel
        self._followers[thread_id] += 1
        try:
            yield channel
        finally:
            self._followers[thread_id] -= 1
            asyncio.get_running_loop().call_later(KEPT_S, self._unfollow, thread_id)

    def end_thread(self, thread_id: str) -> None:
        """Let the followers of a thread go, which is deleted."""
        channel = self._threads.pop(thread_id, None)
        if channel is not None:
            channel.end()

    def _repeat(self, thread_id: str, name: str, data: str) -> None:
        channel = self._threads.get(thread_id)
        if channel is not None:
            channel.append(name, data)

    def _unfollow(self, thread_id: str) -> None:
        if not self._followers[thread_id]:
            del self._followers[thread_id]
            self.end_thread(thread_id)

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.run_id) is channel:
            del self._channels[channel.run_id]

    def _make_room(self) -> None:
        kept = [channel for channel in self._channels.values() if channel.ended]
        size_bytes = sum(channel.size_bytes for channel in kept)
        for channel in kept:
            if size_bytes <= MAX_KEPT_BYTES:
                break
            size_bytes -= channel.size_bytes
            self._forget(channel)
