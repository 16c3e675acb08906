"""The same statements through bare psycopg: parameters made beforehand, rows left as they come."""

from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from harness.measure.calls import Calls
from harness.measure.floors import params as of
from harness.measure.floors.params import Params
from harness.measure.floors.sql import blocks
from harness.measure.rows import ASSISTANT_ID, OWNER, Table

Pool = AsyncConnectionPool[AsyncConnection[Any]]


def bind(pool: Pool, table: Table, size: int) -> Calls:
    """Return the floor's calls on one table, ready for rows 0 to `size - 1`."""
    sql = blocks(table)
    new = [of.new(table, n) for n in range(size)]
    at = [of.address(table, n) for n in range(size)]
    changes = [{**at[n], **of.change(table, n)} for n in range(size)]
    tagged = of.page(table, of.PAGE) | of.tagged(table)
    id_column = of.ID_COLUMNS.get(table)
    bulk = _bulk(table, size) if "create_many" in sql else {}

    async def create(n: int) -> object:
        params = new[n]
        if id_column is not None:
            params = {**params, id_column: str(uuid7())}
        return await execute(pool, sql["create"], params)

    async def create_many(_: int) -> object:
        return await execute(pool, sql["create_many"], bulk)

    async def get(n: int) -> object:
        found = await execute(pool, sql["get"], at[n])
        return found[0] if found else None

    async def search() -> int:
        return len(await execute(pool, sql["search"], tagged))

    async def newest(limit: int) -> int:
        return len(await execute(pool, sql["newest"], of.page(table, limit)))

    async def count() -> int:
        [(number,)] = await execute(pool, sql["count"], tagged)
        return int(number)

    if table == "states":
        return Calls(create=create, get=get, newest=newest)
    return Calls(
        create=create,
        create_many=create_many,
        get=get,
        update=lambda n: execute(pool, sql["update"], changes[n]),
        search=search,
        newest=newest,
        count=count,
        delete=lambda n: execute(pool, sql["delete"], at[n]),
    )


async def execute(pool: Pool, query: LiteralString, params: Params) -> list[tuple[Any, ...]]:
    """Send one statement over the next free connection and return its rows."""
    connection = await pool.getconn()
    try:
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(query, params)
        return await cursor.fetchall() if cursor.description else []
    finally:
        await pool.putconn(connection)


def _bulk(table: Table, size: int) -> Params:
    """Return the parameters that create rows 0 to `size - 1` together."""
    made = [of.bulk_row(table, n) for n in range(size)]
    parameters: Params = {"rows": of.text(made), "owner": OWNER}
    match table:
        case "runs":
            parameters["runs"] = parameters.pop("rows")
            parameters["threads"] = of.text([of.queued(row) for row in made])
            parameters["thread_ids"] = [row["thread_id"] for row in made]
            parameters["assistant_ids"] = [ASSISTANT_ID]
        case "crons":
            parameters |= {"assistant_ids": [ASSISTANT_ID], "thread_ids": []}
        case _:
            pass
    return parameters
