"""Leases in memory, where a run is its process's for as long as the process lives."""

from harness.models import Lease
from harness.storage.leases import OnLost
from harness.storage.memory.tables import Tables


class MemoryLeases:
    """The leases of runs in memory; see `harness.storage.leases.Leases`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def keeper(self, *, lease_s: float, on_lost: OnLost) -> "MemoryLeaseKeeper":
        """Begin to keep leases."""
        del lease_s  # what is kept does not end
        return MemoryLeaseKeeper(self._tables, on_lost)

    async def acknowledge(self, lease: Lease) -> None:
        """Do nothing: nobody else could wait for it."""

    async def is_stopping(self, run_id: str) -> bool:
        """Return False: there is no other process."""
        del run_id
        return False


class MemoryLeaseKeeper:
    """Keeps leases from ending: nobody claims their runs, however long the event loop stood still.

    Prolonging them in time is not possible: the same loop would have to do it.
    """

    def __init__(self, tables: Tables, on_lost: OnLost) -> None:
        self._tables = tables
        self._kept: set[str] = set()
        self._end = tables.runs.on_leave("lease", lambda token: on_lost(str(token)))

    def keep(self, lease: Lease) -> None:
        """Let a lease never end."""
        self._kept.add(lease.token)
        self._tables.kept.add(lease.token)

    def let_go(self, lease: Lease) -> None:
        """Let a lease end when its time has come."""
        self._kept.discard(lease.token)
        self._tables.kept.discard(lease.token)

    async def close(self) -> None:
        """Let go all, and call nobody any more."""
        self._tables.kept -= self._kept
        self._end()
