"""How much the channels of this process keep together, and those of one owner."""

from collections import Counter
from typing import Final

from harness.server.execution.channel import Channel

_SLACK: Final = 1 / 8
"""Part that is forgotten at once where there is too much: the next events then find room."""


class EventBudget:
    """Has channels forget events when they keep too much together.

    Of the owner who keeps too much, or most: ended channels go first, those that were opened first
    before others; then the fullest forget their oldest events.

    Args:
        most_bytes: What all channels may keep.
        most_of_owner_bytes: What one owner's channels may keep.
    """

    def __init__(self, most_bytes: int, most_of_owner_bytes: int) -> None:
        self._most_bytes, self._most_of_owner_bytes = most_bytes, most_of_owner_bytes
        self._channels: dict[str, dict[Channel, None]] = {}
        self._sizes: Counter[str] = Counter()

    @property
    def size_bytes(self) -> int:
        """What all channels keep now."""
        return self._sizes.total()

    def watch(self, channel: Channel) -> None:
        """Count what a channel keeps, from now on."""
        self._channels.setdefault(channel.owner, {})[channel] = None
        self._sizes[channel.owner] += channel.size_bytes
        channel.on_change = self._changed

    def drop(self, channel: Channel) -> None:
        """Count a channel no more: nobody can find it."""
        mine = self._channels.get(channel.owner, {})
        if channel not in mine:
            return
        del mine[channel]
        channel.on_change = None
        self._sizes[channel.owner] -= channel.size_bytes
        if not mine:
            del self._channels[channel.owner], self._sizes[channel.owner]

    def _changed(self, channel: Channel, by_bytes: int) -> None:
        self._sizes[channel.owner] += by_bytes
        if by_bytes <= 0:
            return
        if self._sizes[channel.owner] > self._most_of_owner_bytes:
            self._shrink(channel.owner, self._most_of_owner_bytes)
        while (excess := self.size_bytes - self._most_bytes) > 0:
            [(largest, size_bytes)] = self._sizes.most_common(1)
            self._shrink(largest, size_bytes - excess)

    def _shrink(self, owner: str, to_bytes: int) -> None:
        """Have an owner's channels forget until they keep no more than that, and some room."""
        excess = self._sizes[owner] - int(to_bytes * (1 - _SLACK))
        fullest_first = sorted(
            self._channels[owner], key=lambda one: (not one.ended, one.ended or -one.size_bytes)
        )
        for channel in fullest_first:
            if excess <= 0:
                break
            excess -= channel.forget(excess)
