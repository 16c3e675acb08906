"""Sweeps threads whose time is over, in Postgres; any number of processes may at once."""

import logging
from typing import Any, Final

from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import Conflict
from harness.storage.postgres.retention import PostgresRetention
from harness.storage.postgres.sql import load
from harness.storage.requests import Keeping, TimeToLive

logger = logging.getLogger(__name__)

SQL: Final = load("threads")
SWEEPS: Final = {
    owned: SQL.render("sweep", condition=SQL["of_owner"] if owned else "")
    for owned in (False, True)
}
LONG: Final = {
    owned: SQL.render("long", condition=SQL["of_owner"] if owned else "") for owned in (False, True)
}
"""The statements for the threads of everybody, or of one owner."""


class PostgresLifetimes:
    """Removes expired threads, and shortens those that are to keep their latest state."""

    def __init__(self, database: Database, retention: PostgresRetention) -> None:
        self._database, self._retention = database, retention

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        """Sweep up to `limit` threads; return how many.

        Those that go do so in one transaction. Each history is shortened in one of its own, and
        counted afterwards: a process that dies in between leaves the thread due.
        """
        parameters: dict[str, Any] = {} if owner is None else {"owner": owner}
        gone = await self._database.write(
            SWEEPS[owner is not None], {**parameters, "limit": limit}, row_factory=scalar_row
        )
        swept = len(gone)
        if swept == limit:
            return swept
        long = await self._database.read(
            LONG[owner is not None],
            {**parameters, "limit": limit - swept},
            row_factory=scalar_row,
        )
        for thread_id in long:
            try:
                await self._retention.prune(thread_id, Keeping(keep=1, older_than_s=None), None)
            except Conflict as exc:
                logger.warning("thread %s is not shortened yet: %s", thread_id, exc)
                continue
            swept += len(await self._database.write(SQL["shortened"], {"id": thread_id}))
        return swept


def ttl_parameters(ttl: TimeToLive | None) -> dict[str, Any]:
    """Return the columns of a time to live."""
    return {
        "ttl_minutes": None if ttl is None else ttl.minutes,
        "ttl_strategy": None if ttl is None else ttl.strategy,
    }
