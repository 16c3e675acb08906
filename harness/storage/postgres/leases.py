"""Keeps leases by a thread and a connection of its own, whatever the event loop is busy with."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, scalar_row

from harness.database import Database
from harness.database.conninfo import reason
from harness.models import Lease
from harness.storage.leases import OnLost
from harness.storage.postgres.sql import load

logger = logging.getLogger("harness.leases")

SQL: Final = load("leases")
CHECK_S: Final = 1.0
"""Between two looks for leases that were lost without a word of it reaching this process."""
_PROLONGED_AFTER: Final = 1 / 3
"""The part of a lease's time after which it is prolonged."""
_LONGEST_PAUSE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.1
_ANSWER_S: Final = (1.0, 10.0)
"""Seconds between which half a lease lies, after which a silent connection counts as lost."""
_LOCKED_S: Final = 0.1
"""After which leases are prolonged whose runs were locked: each write of a run locks its row."""
_CLOSE_S: Final = 3.0

Connection = AsyncConnection[DictRow]


class PostgresLeases:
    """The leases of a database's runs; see `harness.storage.leases.Leases`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keeper(
        self, *, lease_s: float, on_lost: OnLost, check_s: float = CHECK_S
    ) -> "PostgresLeaseKeeper":
        """Begin to keep leases.

        Args:
            lease_s: For how long each is prolonged.
            on_lost: Told of those that were lost.
            check_s: Seconds between two looks for those whose notification did not arrive.
        """
        return PostgresLeaseKeeper(
            self._database, lease_s=lease_s, on_lost=on_lost, check_s=min(check_s, lease_s / 4)
        )

    async def acknowledge(self, lease: Lease) -> None:
        """Say that nothing is executed under a lease that was lost."""
        await self._database.write(SQL["acknowledge"], {"id": lease.run_id, "token": lease.token})

    async def is_stopping(self, run_id: str) -> bool:
        """Whether another process may still execute a run that was ended."""
        [stopping] = await self._database.read(
            SQL["is_stopping"], {"id": run_id}, row_factory=scalar_row
        )
        return bool(stopping)


@dataclass(slots=True)
class _Kept:
    """A lease that is kept."""

    lease: Lease
    until_s: float
    """When it ends unless it is prolonged, by this process's monotonic clock."""


class PostgresLeaseKeeper:
    """Prolongs all leases in one statement, and hears of those that are lost.

    Both happen on an event loop in a thread of its own: user code that blocks the main loop keeps
    neither from happening. The connection is beyond the pool, which may be exhausted. Where its
    LISTEN hears nothing (through a transaction pooler, or after a loss of the connection) the
    leases are looked up.
    """

    def __init__(
        self, database: Database, *, lease_s: float, on_lost: OnLost, check_s: float
    ) -> None:
        self._database, self._lease_s, self._check_s = database, lease_s, check_s
        self._answer_s = min(max(lease_s / 2, _ANSWER_S[0]), _ANSWER_S[1])
        self._on_lost, self._caller = on_lost, asyncio.get_running_loop()
        self._kept: dict[str, _Kept] = {}
        self._mutex = Lock()
        self._closing = asyncio.Event()
        self._own = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="keeps leases", daemon=True)
        self._thread.start()

    def keep(self, lease: Lease) -> None:
        """Prolong a lease from now on."""
        with self._mutex:
            self._kept[lease.token] = _Kept(lease, monotonic() + self._lease_s)

    def let_go(self, lease: Lease) -> None:
        """Prolong a lease no more."""
        with self._mutex:
            self._kept.pop(lease.token, None)

    async def close(self) -> None:
        """End the thread and close its connection."""
        with suppress(RuntimeError):  # it has ended
            self._own.call_soon_threadsafe(self._closing.set)
        await asyncio.to_thread(self._thread.join, _CLOSE_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._own) as runner:
            runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        keeping = asyncio.create_task(self._keep_all())
        await self._closing.wait()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    async def _keep_all(self) -> None:
        """Keep leases over one connection after another."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with await self._database.connect("leases") as connection:
                    await self._listen(connection)
                    pause_s = _FIRST_PAUSE_S
                    await self._keep_over(connection)
            except Exception as exc:  # noqa: BLE001 -- whatever is wrong, it may pass
                level = logging.WARNING if pause_s == _FIRST_PAUSE_S else logging.DEBUG
                logger.log(level, "leases cannot be kept at the moment: %s", reason(exc))
            self._lose(self._expired())
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _listen(self, connection: Connection) -> None:
        """Ask for notifications; where that is refused, lost leases are found by looking."""
        try:
            await listen(connection)
        except psycopg.Error as exc:
            if connection.broken:
                raise
            logger.info("lost leases are not notified here: %s", exc)

    async def _keep_over(self, connection: Connection) -> None:
        due_s = 0.0
        while True:
            async with asyncio.timeout(self._answer_s):
                if monotonic() >= due_s:
                    began_s, due_s = monotonic(), 0.0
                    if await self._prolong(connection):
                        due_s = began_s + self._lease_s * _PROLONGED_AFTER
                else:
                    await self._check(connection, self._leases())
            pause_s = self._check_s if due_s else min(self._check_s, _LOCKED_S)
            async for told in connection.notifies(timeout=pause_s):
                self._lose([told.payload])

    async def _prolong(self, connection: Connection) -> bool:
        """Prolong all leases; return whether none is left that has to wait for a lock."""
        began_s, leases = monotonic(), self._leases()
        prolonged = await prolong(connection, leases, self._lease_s)
        with self._mutex:
            for token in prolonged & self._kept.keys():
                self._kept[token].until_s = began_s + self._lease_s
        rest = [lease for lease in leases if lease.token not in prolonged]
        return not await self._check(connection, rest)

    async def _check(self, connection: Connection, leases: Collection[Lease]) -> set[str]:
        """Tell which of the leases were lost; return the others' tokens."""
        held = await current(connection, leases)
        self._lose([lease.token for lease in leases if lease.token not in held])
        return held

    def _leases(self) -> list[Lease]:
        with self._mutex:
            return [kept.lease for kept in self._kept.values()]

    def _expired(self) -> list[str]:
        """Return the leases that could not be prolonged in time: another process may have them."""
        now_s = monotonic()
        with self._mutex:
            return [token for token, kept in self._kept.items() if now_s >= kept.until_s]

    def _lose(self, tokens: Collection[str]) -> None:
        for token in tokens:
            with self._mutex:
                self._kept.pop(token, None)
            with suppress(RuntimeError):  # the caller's loop has ended
                self._caller.call_soon_threadsafe(self._on_lost, token)


async def listen(connection: Connection) -> None:
    """Have a connection be notified of leases that are lost."""
    await connection.execute(SQL["listen"])


async def prolong(connection: Connection, leases: Collection[Lease], lease_s: float) -> set[str]:
    """Prolong those leases that are current and that nobody has locked; return their tokens."""
    if not leases:
        return set()
    parameters = {**_named(leases), "lease": timedelta(seconds=lease_s)}
    return await _tokens(connection, SQL["prolong"], parameters)


async def current(connection: Connection, leases: Collection[Lease]) -> set[str]:
    """Return the tokens of those leases that are their runs' current ones."""
    if not leases:
        return set()
    return await _tokens(connection, SQL["current"], _named(leases))


async def _tokens(connection: Connection, statement: str, parameters: dict[str, Any]) -> set[str]:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(statement, parameters)
    return set(await cursor.fetchall())


def _named(leases: Collection[Lease]) -> dict[str, Any]:
    return {
        "ids": [lease.run_id for lease in leases],
        "tokens": [lease.token for lease in leases],
    }
