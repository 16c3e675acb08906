"""Brings a database's schema up to this version, safely when many processes boot at once."""

import asyncio
import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from time import monotonic

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from harness.errors import Overloaded, SchemaMismatch
from harness.schema import SCHEMA

_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
LOCK_KEY = int.from_bytes(hashlib.sha256(f"harness:{SCHEMA}".encode()).digest()[:7])
"""Key of the advisory lock that whoever migrates holds."""
_LOCK_TIMEOUT_S = 60.0
_POLL_S = 0.02

# Not to_regclass: it answers from a cache that may be older than the lock, and so finds no record
# where the lock's last owner has just made one. A query sees what was committed before it began.
_FIND_RECORD = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'migrations'
) AS found
"""
_READ_RECORD = f"SELECT number, name, checksum FROM {SCHEMA}.migrations ORDER BY number"  # noqa: S608  # a constant
_MAKE_RECORD = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE {SCHEMA}.migrations ENABLE ROW LEVEL SECURITY;
"""
_RECORD = f"INSERT INTO {SCHEMA}.migrations (number, name, checksum) VALUES (%s, %s, %s)"  # noqa: S608  # a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, the same whatever the line endings of a checkout."""
        return hashlib.sha256("\n".join(self.sql.splitlines()).encode()).hexdigest()


@cache
def shipped() -> tuple[Migration, ...]:
    """Return the migrations in the package, in order.

    Raises:
        ValueError: Their numbers are not 1, 2, 3, …; a mistake of whoever added one.
    """
    folder = resources.files("harness.schema").joinpath("migrations")
    found = []
    for file in folder.iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            text = file.read_text(encoding="utf-8")
            found.append(Migration(number=int(match["number"]), name=match["name"], sql=text))
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations must be numbered 1, 2, 3, …, not {numbers}")
    return tuple(found)


async def migrate(
    connection: AsyncConnection[DictRow], migrations: Sequence[Migration] | None = None
) -> None:
    """Apply what is missing, each migration in a transaction of its own.

    One process at a time: each transaction holds an advisory lock until it ends, so that it works
    through a transaction pooler too, where a session lock would outlive its owner's turn on the
    server connection. The lock is polled, and with no transaction open in between: a blocking wait
    keeps a snapshot, for which a CREATE INDEX CONCURRENTLY elsewhere (LangGraph's `setup()` has
    some) would wait in turn.

    Args:
        connection: An autocommitted connection.
        migrations: What to apply; the package's own by default.

    Raises:
        SchemaMismatch: The schema is newer than this version, or was made by other files.
        Overloaded: Another process has held the lock for a minute.
    """
    wanted = shipped() if migrations is None else migrations
    if not _missing(await _applied(connection), wanted):
        return
    deadline = monotonic() + _LOCK_TIMEOUT_S
    while not await _apply_next(connection, wanted, deadline):
        pass


async def _apply_next(
    connection: AsyncConnection[DictRow], wanted: Sequence[Migration], deadline: float
) -> bool:
    """Apply the first missing migration; return whether none is missing any more."""
    async with connection.transaction():
        # What the lock's last owner committed must be visible, whatever the server's default is.
        await connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        await connection.execute("SET LOCAL statement_timeout = 0")
        if await _lock(connection):
            missing = _missing(await _applied(connection), wanted)
            if missing:
                step = missing[0]
                await connection.execute(_MAKE_RECORD, prepare=False)
                await connection.execute(step.sql.encode(), prepare=False)
                await connection.execute(_RECORD, (step.number, step.name, step.checksum))
            return len(missing) <= 1
    if monotonic() > deadline:
        raise Overloaded(
            f"another process has been migrating this database for {_LOCK_TIMEOUT_S:g} s"
        )
    await asyncio.sleep(_POLL_S * random.uniform(0.5, 1.5))  # noqa: S311  # spreads the pollers
    return False


async def _lock(connection: AsyncConnection[DictRow]) -> bool:
    cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS locked", (LOCK_KEY,))
    row = await cursor.fetchone()
    return row is not None and row["locked"]


async def _applied(connection: AsyncConnection[DictRow]) -> dict[int, tuple[str, str]]:
    """Return name and checksum of each migration that the database records."""
    cursor = await connection.execute(_FIND_RECORD, (SCHEMA,))
    row = await cursor.fetchone()
    if row is None or not row["found"]:
        return {}
    cursor = await connection.execute(_READ_RECORD)
    return {row["number"]: (row["name"], row["checksum"]) for row in await cursor.fetchall()}


def _missing(applied: dict[int, tuple[str, str]], wanted: Sequence[Migration]) -> list[Migration]:
    newest = max(applied, default=0)
    if newest > len(wanted):
        raise SchemaMismatch(
            f"the database's schema is at migration {newest}, and this version of harness knows "
            f"{len(wanted)}; upgrade harness or use another database"
        )
    for migration in wanted:
        name, checksum = applied.get(migration.number, (None, None))
        if checksum not in {None, migration.checksum}:
            raise SchemaMismatch(
                f"migration {migration.number} of the database ({name}) is not the one of this "
                f"version of harness ({migration.name}); use another database"
            )
    return [migration for migration in wanted if migration.number not in applied]
