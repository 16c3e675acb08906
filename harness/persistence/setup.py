"""Makes LangGraph's tables, safely when many processes boot at once, and ties them to ours."""

import asyncio
import hashlib
import random
from dataclasses import dataclass
from time import monotonic
from typing import Final

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.store.postgres.aio import AsyncPostgresStore
from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import DictRow, dict_row
from psycopg.sql import Literal

from harness.database import Database
from harness.database.conninfo import bounded, reason
from harness.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded
from harness.schema import LANGGRAPH_TABLES
from harness.storage.postgres.sql import load

SQL: Final = load("setup", package="harness.persistence")
LOCK_KEY: Final = int.from_bytes(hashlib.sha256(b"harness:langgraph").digest()[:7])
"""Key of the advisory lock that whoever sets up holds."""
_NEEDED: Final = frozenset(LANGGRAPH_TABLES) - {"vector_migrations", "store_vectors"}
_VERSIONS: Final = {
    "checkpoint_version": len(AsyncPostgresSaver.MIGRATIONS) - 1,
    "store_version": len(AsyncPostgresStore.MIGRATIONS) - 1,
}
_LOCK_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trigger:
    """What the database does by itself when rows of ours change."""

    name: str
    function: str
    """The block of its body, and the name of the function that it calls."""
    table: str
    event: str
    condition: str | None = None
    """The block that says for which rows; None: for all."""

    def body(self, tables: dict[str, DictRow]) -> str:
        """Return the function's body, given LangGraph's tables."""
        return SQL.render(self.function, schema=tables["checkpoints"]["schema"])

    @property
    def definition(self) -> str:
        """The statement that makes it."""
        return SQL.render(
            "make_trigger",
            trigger=self.name,
            table=self.table,
            event=self.event,
            function=self.function,
            condition=SQL[self.condition] if self.condition else "",
        )


_TRIGGERS: Final = (
    _Trigger(
        name="forget_checkpoints", function="forget_checkpoints", table="threads", event="DELETE"
    ),
    _Trigger(
        name="forget_early_writes",
        function="forget_early_writes",
        table="runs",
        event="UPDATE OF status, lease_token",
        condition="lost_its_lease",
    ),
    _Trigger(
        name="forget_early_writes_of_deleted",
        function="forget_early_writes",
        table="runs",
        event="DELETE",
        condition="was_running",
    ),
)


async def setup_langgraph(database: Database) -> None:
    """Make the tables of LangGraph's saver and store, in any number of processes at once.

    Afterwards they are of the installed library's version, row-level security is on for each, no
    index is invalid (a `CREATE INDEX CONCURRENTLY` that was killed leaves one, which LangGraph's
    `IF NOT EXISTS` then takes for done), deleting a thread deletes its checkpoints, and a run that
    loses its lease leaves no writes without their checkpoint. Where all of that is so already, it
    reads, and neither locks nor writes.

    The last two are triggers on our tables. Storage may be used without LangGraph's tables and
    knows nothing of them, many of its calls delete threads or end runs, and whatever is deleted
    must go in one transaction: a trigger is in each of them by itself, and costs no round trip.
    Each statement of a trigger sees what was committed before the row was locked.

    Args:
        database: An open database that has been migrated.

    Raises:
        SchemaMismatch: The database has not been migrated.
        Overloaded: Another process has held the lock for a minute.
        DatabaseUnavailable: A connection died; calling again takes up where it ended.
    """
    try:
        if not await _is_complete(database):
            await _set_up_alone(database)
    except OutcomeUnknown as exc:
        raise DatabaseUnavailable(f"setting up LangGraph's tables was cut short ({exc})") from exc


async def _set_up_alone(database: Database) -> None:
    """Wait for the lock, and set up under it.

    The lock is a transaction's, so that it works through a transaction pooler, and the transaction
    is open on a connection of its own, because CREATE INDEX CONCURRENTLY refuses to run in one. It
    holds no snapshot while it idles, so that CREATE INDEX CONCURRENTLY does not wait for it; a
    caller that blocked on the lock would hold one, which is why the lock is polled.
    """
    deadline = monotonic() + _LOCK_TIMEOUT_S
    try:
        async with await AsyncConnection.connect(
            bounded(database.config.url or ""),
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        ) as holder:
            await holder.set_isolation_level(IsolationLevel.READ_COMMITTED)
            while not await _set_up_if_free(database, holder):
                if monotonic() > deadline:
                    raise Overloaded(
                        "another process has been setting up LangGraph's tables for "
                        f"{_LOCK_TIMEOUT_S:g} s"
                    )
                await asyncio.sleep(_POLL_S * random.uniform(0.5, 1.5))  # noqa: S311  # spreads the pollers
    except psycopg.OperationalError as exc:  # the holder's; the database translates its own
        raise DatabaseUnavailable(
            f"setting up LangGraph's tables was cut short ({reason(exc)})"
        ) from exc


async def _set_up_if_free(database: Database, holder: AsyncConnection[DictRow]) -> bool:
    """Set up if nobody else is at it; return whether nothing is left to do."""
    async with holder.transaction():
        await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        # Without parameters: the portal in which they travel keeps a snapshot while it idles.
        cursor = await holder.execute(SQL.render("lock", key=str(LOCK_KEY)).encode())
        row = await cursor.fetchone()
        if row is None or not row["locked"]:
            return False
        if not await _is_complete(database):
            async with database.connection(unhurried=True) as connection:
                await AsyncPostgresSaver(connection).setup()
                await AsyncPostgresStore(connection).setup()
            await _finish(database)
        return True


async def _finish(database: Database) -> None:
    tables = await _tables(database)
    async with database.transaction() as connection:
        for name, table in tables.items():
            for index in table["invalid"]:
                await connection.execute(SQL.render("reindex", index=index).encode())
            if not table["guarded"]:
                qualified = f"{table['schema']}.{name}"
                await connection.execute(SQL.render("guard", table=qualified).encode())
        for trigger in _TRIGGERS:
            body = Literal(trigger.body(tables)).as_string(connection)
            function = SQL.render("make_function", function=trigger.function, quoted_body=body)
            await connection.execute(function.encode())
            place = {"trigger": trigger.name, "table": trigger.table}
            await connection.execute(SQL.render("drop_trigger", **place).encode())
            await connection.execute(trigger.definition.encode())
            quoted = Literal(trigger.definition).as_string(connection)
            comment = SQL.render("comment_on_trigger", **place, quoted_definition=quoted)
            await connection.execute(comment.encode())


async def _is_complete(database: Database) -> bool:
    tables = await _tables(database)
    if not tables.keys() >= _NEEDED or any(
        table["invalid"] or not table["guarded"] for table in tables.values()
    ):
        return False
    for block, newest in _VERSIONS.items():
        [row] = await database.read(SQL[block])
        if row["version"] is None or row["version"] < newest:
            return False
    hung = {
        row["name"]: (row["body"], row["definition"])
        for row in await database.read(SQL["triggers"])
    }
    return all(
        hung.get(trigger.name) == (trigger.body(tables), trigger.definition)
        for trigger in _TRIGGERS
    )


async def _tables(database: Database) -> dict[str, DictRow]:
    """Return which of LangGraph's tables there are, and in what state."""
    rows = await database.read(SQL["tables"], {"names": list(LANGGRAPH_TABLES)})
    return {row["name"]: row for row in rows}
