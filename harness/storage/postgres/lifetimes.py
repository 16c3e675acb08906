"""Sweeps threads whose time is over, in Postgres; any number of processes may at once."""

import logging
from typing import Any, Final

import psycopg
from psycopg import errors as pg
from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import Conflict, Overloaded
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

_REFUSED: Final = (Conflict, Overloaded, psycopg.IntegrityError)
"""What may be about some threads, while others can be swept."""
_GIVEN_UP: Final = (pg.QueryCanceled, pg.LockNotAvailable)
"""Causes of an `Overloaded` that is a statement's own."""


class PostgresLifetimes:
    """Removes expired threads, and shortens those that are to keep their latest state."""

    def __init__(self, database: Database, retention: PostgresRetention) -> None:
        self._database, self._retention = database, retention

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        """Sweep up to `limit` threads; return how many.

        Those that go do so in one transaction, or in several where the database does not do it in
        one. Each history is shortened in one of its own, and counted afterwards: a process that
        dies in between leaves the thread due. What cannot be swept is passed over, and logged.

        Raises:
            Exception: Why nothing could be swept, though something is due.
        """
        parameters: dict[str, Any] = {} if owner is None else {"owner": owner}
        swept, failure = await self._delete(parameters, limit)
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
            except _REFUSED as exc:
                _raise_if_no_connection(exc)
                logger.warning("thread %s is not shortened yet: %s", thread_id, exc)
                continue
            swept += len(await self._database.write(SQL["shortened"], {"id": thread_id}))
        if failure is not None and not swept:
            raise failure
        return swept

    async def _delete(self, parameters: dict[str, Any], limit: int) -> tuple[int, Exception | None]:
        """Delete up to `limit` threads; return how many, and why one was left behind, if one was.

        A batch that is refused (a foreign key of somebody else's) or takes too long is halved, down
        to one thread, which is then left behind.
        """
        failure: Exception | None = None
        gone, behind, batch = 0, 0, limit
        while gone < limit and behind < limit:
            batch = min(batch, limit - gone)
            bounds = {"limit": batch, "behind": behind}
            try:
                found = await self._database.write(
                    SWEEPS["owner" in parameters], {**parameters, **bounds}
                )
            except _REFUSED as exc:
                _raise_if_no_connection(exc)
                if batch == 1:
                    logger.warning("a thread is not swept yet: %s", exc)
                    behind, failure = behind + 1, exc
                batch = max(batch // 2, 1)
                continue
            gone += len(found)
            if len(found) < batch:
                break
            batch *= 2
        return gone, failure


def _raise_if_no_connection(exc: Exception) -> None:
    """Raise what other threads would meet as well."""
    if isinstance(exc, Overloaded) and not isinstance(exc.__cause__, _GIVEN_UP):
        raise exc


def ttl_parameters(ttl: TimeToLive | None) -> dict[str, Any]:
    """Return the columns of a time to live."""
    return {
        "ttl_minutes": None if ttl is None else ttl.minutes,
        "ttl_strategy": None if ttl is None else ttl.strategy,
    }
