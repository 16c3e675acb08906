"""The agent server with a back door: a program that tests start instead of `harness serve`.

It serves everything that `harness serve` does, from the same routes. One more route opens a port
behind which lies what no caller of the API may reach: the storage's own methods, and the raw rows.
By it the contract plants what it then looks for over the wire, and looks behind it.
"""

import argparse
import asyncio
import pickle
from pathlib import Path
from typing import Any

from psycopg.sql import SQL, Identifier

from harness.config import DatabaseConfig, Deployment, ServerConfig
from harness.runtime import get_pool, get_storage
from harness.schema import SCHEMA
from harness.server.http import Call, Nothing, Reply, Route
from harness.server.routes import ROUTES
from harness.server.serve import serve
from harness.storage.memory.probe import MemoryProbe
from harness.storage.memory.tables import Tables
from harness.storage.postgres.probe import PostgresProbe
from harness.storage.probe import TABLES

_listening: set[asyncio.Server] = set()


async def unlock(call: Call[Nothing, Nothing]) -> Reply:
    """Open the back door, and answer with its port."""
    del call
    door = await asyncio.start_server(_answer, "127.0.0.1", 0)
    _listening.add(door)
    return Reply(body=door.sockets[0].getsockname()[1])


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Call methods one after another, and answer with what each returned or raised."""
    while size := await reader.read(4):
        asked = await reader.readexactly(int.from_bytes(size))
        target, method, args, kwargs = pickle.loads(asked)  # noqa: S301 -- of our own tests
        try:
            result = await getattr(_target(target), method)(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001 -- raised where it was called
            result = exc
        answer = pickle.dumps(result)
        writer.write(len(answer).to_bytes(4) + answer)
        await writer.drain()
    writer.close()


def _target(name: str) -> Any:
    if name == "door":
        return _Door()
    if name == "probe":
        pool = get_pool()
        return MemoryProbe(_tables()) if pool is None else PostgresProbe(pool)
    return getattr(get_storage(), name)


class _Door:
    async def empty(self) -> None:
        """Delete every row, children first."""
        pool = get_pool()
        if pool is None:
            for name in reversed(TABLES):
                table: Any = getattr(_tables(), name)
                for row in table:
                    table.remove(row)
            return
        batch = SQL("; ").join(
            SQL("DELETE FROM {}").format(Identifier(SCHEMA, table)) for table in reversed(TABLES)
        )
        async with pool.connection() as connection:
            await connection.execute(batch)


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
        ServerConfig.from_env(
            port=given.port,
            deployment=given.config and Deployment.read(given.config),
            with_parent=True,
        ),
        DatabaseConfig.from_env(),
        routes=(*ROUTES, Route("POST", "/door", unlock, is_open=True)),
    )
