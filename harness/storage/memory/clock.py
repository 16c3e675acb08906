"""The time of one store: no two moments are alike, and none comes before an earlier one."""

from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)


class Clock:
    """A strictly increasing clock, in UTC."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time, at least a microsecond after the last one returned."""
        now = datetime.now(UTC)
        self._last = now if now > self._last else self._last + _TICK
        return self._last
