"""The agent server with a back door: a program that tests start instead of `harness serve`.

It serves everything that `harness serve` does, from the same routes. Behind one more route lies what
no caller may reach: the storage's own methods, and the raw rows. By it the contract plants what it
looks for over the wire, and looks behind it.
"""

import argparse
import base64
import pickle
from pathlib import Path
from typing import Any, Final

from psycopg.sql import SQL, Identifier

from harness.config import DatabaseConfig, ServerConfig
from harness.runtime import get_pool, get_storage
from harness.schema import SCHEMA
from harness.server.http import Call, Nothing, Reply, Route, Schema
from harness.server.routes import ROUTES
from harness.server.serve import serve
from harness.storage.memory.probe import MemoryProbe
from harness.storage.memory.tables import Tables
from harness.storage.postgres.probe import PostgresProbe
from harness.storage.probe import TABLES

PATH: Final = "/door"
"""Where the back door is."""


class Asked(Schema):
    """A method, and what it is given: of the storage's resources, of the probe, or of the door."""

    pickled: str


class Door:
    """What only the door itself can do."""

    async def empty(self) -> None:
        """Delete every row, children first."""
        pool = get_pool()
        if pool is None:
            tables = _tables()
            for name in reversed(TABLES):
                table: Any = getattr(tables, name)
                for row in table:
                    table.remove(row)
            return
        batch = SQL("; ").join(
            SQL("DELETE FROM {}").format(Identifier(SCHEMA, table)) for table in reversed(TABLES)
        )
        async with pool.connection() as connection:
            await connection.execute(batch)


async def asked(call: Call[Asked, Nothing]) -> Reply:
    """Call a method, and answer with what it returned or raised."""
    target, method, args, kwargs = pickle.loads(base64.b64decode(call.body.pickled))  # noqa: S301 -- of our own tests
    try:
        result = await getattr(_target(target), method)(*args, **kwargs)
    except Exception as exc:  # noqa: BLE001 -- raised where it was called
        result = exc
    return Reply(body=base64.b64encode(pickle.dumps(result)).decode())


def _target(name: str) -> Any:
    if name == "door":
        return Door()
    if name == "probe":
        pool = get_pool()
        return MemoryProbe(_tables()) if pool is None else PostgresProbe(pool)
    return getattr(get_storage(), name)


def _tables() -> Tables:
    threads: Any = get_storage().threads
    tables: Tables = threads._engine._tables
    return tables


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--config", type=Path)
    given = parser.parse_args()
    serve(
        ServerConfig.from_env(port=given.port, graphs=given.config),
        DatabaseConfig.from_env(),
        routes=(*ROUTES, Route("POST", PATH, asked, is_open=True)),
    )


if __name__ == "__main__":
    main()
