"""How a pool's connections are used, counted exactly from when callers ask, take and give back.

psycopg_pool's own `usage_ms` cuts every checkout down to whole milliseconds, which for short
statements leaves nothing.
"""

import time
from collections.abc import Callable


class Usage:
    """Sums that only grow, so that whoever reads them twice knows what happened between.

    Args:
        clock: Returns seconds; only differences mean anything.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._now_s = clock()
        self._busy_s = self._waiting_s = 0.0
        self.in_use = 0
        """Connections in callers' hands."""
        self.waiting = 0
        """Callers who have asked for one and not got it yet."""
        self.checkouts = 0
        """Connections that callers got so far."""

    @property
    def busy_s(self) -> float:
        """Connection-seconds in callers' hands so far."""
        self._advance()
        return self._busy_s

    @property
    def waiting_s(self) -> float:
        """Seconds that callers have waited so far, all together."""
        self._advance()
        return self._waiting_s

    def asked(self) -> None:
        """Note that a caller asks for a connection."""
        self._advance()
        self.waiting += 1

    def gave_up(self) -> None:
        """Note that a caller who asked leaves without one."""
        self._advance()
        self.waiting -= 1

    def taken(self) -> None:
        """Note that a caller who asked got one."""
        self.gave_up()
        self.in_use += 1
        self.checkouts += 1

    def given(self) -> None:
        """Note that a caller gives one back."""
        self._advance()
        self.in_use -= 1

    def _advance(self) -> None:
        before_s, self._now_s = self._now_s, self._clock()
        self._busy_s += self.in_use * (self._now_s - before_s)
        self._waiting_s += self.waiting * (self._now_s - before_s)
