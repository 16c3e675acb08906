"""Whose turn it is on a thread, in this process."""

from asyncio import Lock
from weakref import WeakValueDictionary


class Turns:
    """Locks by thread: for who writes to its state, who deletes it, and who begins to run on it.

    Those who wait here for one another hold no database connection meanwhile. What other processes
    do is kept apart by `harness.persistence.write_alone`.
    """

    def __init__(self) -> None:
        self._locks = WeakValueDictionary[str, Lock]()

    def of(self, thread_id: str) -> Lock:
        """Return a thread's lock."""
        return self._locks.setdefault(thread_id.lower(), Lock())
