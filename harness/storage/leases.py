"""What storage offers to a process that executes runs: it keeps leases, and tells which are lost.

Not a resource: nobody calls it over HTTP, and nobody owns it.
"""

from collections.abc import Callable
from typing import Protocol

from harness.models import Lease

OnLost = Callable[[str], None]
"""Called on the event loop with the token of a lease that is not its run's current one any more.

It may be a lease of another process, or one whose run its holder has just ended."""


class LeaseKeeper(Protocol):
    """Keeps leases for as long as the process lives, whatever code its event loop executes."""

    def keep(self, lease: Lease) -> None:
        """Prolong a lease from now on, until it is let go or lost."""

    def let_go(self, lease: Lease) -> None:
        """Prolong a lease no more; does nothing where it is not kept."""

    async def close(self) -> None:
        """Keep nothing any more, and call nobody."""


class Leases(Protocol):
    """The leases of runs, as those see them who execute or stop runs."""

    def keeper(self, *, lease_s: float, on_lost: OnLost) -> LeaseKeeper:
        """Begin to keep leases; to be called on an event loop.

        Args:
            lease_s: For how long each is prolonged.
            on_lost: Told of leases that were lost: at once where that can be had, and within a
                second or a quarter of `lease_s` otherwise.
        """

    async def acknowledge(self, lease: Lease) -> None:
        """Say that nothing is executed any more under a lease that was lost."""

    async def is_stopping(self, run_id: str) -> bool:
        """Whether a run that was ended from outside may still be executed by another process.

        Until that process has acknowledged the loss of its lease, or the lease would have ended.
        """
