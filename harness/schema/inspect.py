"""Read what lies in a database, as tables for people: the seed's "Database Inspection" by hand."""

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

RUNTIME_SCHEMA = "langgraph_server"

_SCHEMAS = """
    SELECT n.nspname,
           count(c.oid),
           pg_size_pretty(coalesce(sum(pg_total_relation_size(c.oid)), 0))
      FROM pg_namespace AS n
      LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     GROUP BY n.nspname
     ORDER BY n.nspname
"""
_TABLES = """
    SELECT n.nspname, c.relname, pg_size_pretty(pg_total_relation_size(c.oid))
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p')
       AND CASE WHEN %(runtime)s THEN n.nspname = %(schema)s
                ELSE n.nspname <> %(schema)s
                     AND (c.relname LIKE 'checkpoint%%' OR c.relname LIKE 'store%%') END
     ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
    SELECT a.attname
      FROM pg_attribute AS a
     WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
_RECORDS = {
    "assistants": ("assistant_id", "graph_id", "name", "owner", "created_at"),
    "threads": ("thread_id", "status", "owner", "created_at"),
    "runs": ("run_id", "thread_id", "status", "owner", "created_at"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table to show."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


async def inspect_database(connection: AsyncConnection[Any], *, newest: int = 20) -> list[Table]:
    """Read schemas, tables with row counts and sizes, the newest records, and checkpoints.

    What the database does not have is left out or shows no rows. Nothing is written.

    Args:
        connection: In autocommit; its row factory does not matter.
        newest: Most records of a kind to read.

    Raises:
        psycopg.Error: The database refused or went away.
    """
    runtime, langgraph = [await _sizes(connection, runtime=which) for which in (True, False)]
    tables = [
        Table("Schemas", ("schema", "tables", "size"), await _rows(connection, _SCHEMAS)),
        Table(f"Runtime tables ({RUNTIME_SCHEMA})", ("table", "rows", "size"), runtime),
        Table("LangGraph tables", ("table", "rows", "size"), langgraph),
    ]
    for name, wanted in _RECORDS.items():
        columns = await _columns(connection, RUNTIME_SCHEMA, name, wanted)
        if columns:
            query = _newest(RUNTIME_SCHEMA, name, columns, newest)
            rows = await _rows(connection, query)
            tables.append(Table(f"Newest {name}", columns, rows))
    for name in (row[0] for row in langgraph if row[0].endswith(".checkpoints")):
        schema, _, table = name.rpartition(".")
        if len(await _columns(connection, schema, table, ("thread_id", "checkpoint_id"))) == 2:
            rows = await _rows(connection, _per_thread(schema, table, newest))
            columns = ("thread_id", "checkpoints", "newest checkpoint_id")
            tables.append(Table(f"Checkpoints by thread ({name})", columns, rows))
    return tables


async def _sizes(connection: AsyncConnection[Any], *, runtime: bool) -> tuple[tuple[Any, ...], ...]:
    """Name, exact number of rows and size of each table."""
    found = await _rows(connection, _TABLES, {"runtime": runtime, "schema": RUNTIME_SCHEMA})
    counted = []
    for schema, table, size in found:
        query = SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))
        ((count,),) = await _rows(connection, query)
        counted.append((table if runtime else f"{schema}.{table}", count, size))
    return tuple(counted)


async def _columns(
    connection: AsyncConnection[Any], schema: str, table: str, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Those of the wanted columns that the table has, in that order."""
    name = Identifier(schema, table).as_string(connection)
    present = {row[0] for row in await _rows(connection, _COLUMNS, (name,))}
    return tuple(column for column in wanted if column in present)


def _newest(schema: str, table: str, columns: tuple[str, ...], limit: int) -> Composed:
    order = "created_at" if "created_at" in columns else columns[0]
    return SQL("SELECT {} FROM {} ORDER BY {} DESC LIMIT {}").format(
        SQL(", ").join(map(Identifier, columns)),
        Identifier(schema, table),
        Identifier(order),
        Literal(limit),
    )


def _per_thread(schema: str, table: str, limit: int) -> Composed:
    """Checkpoint ids sort by time, as LangGraph makes them (UUIDv6)."""
    return SQL(
        "SELECT thread_id, count(*), max(checkpoint_id) FROM {} "
        "GROUP BY thread_id ORDER BY max(checkpoint_id) DESC LIMIT {}"
    ).format(Identifier(schema, table), Literal(limit))


async def _rows(
    connection: AsyncConnection[Any], query: LiteralString | Composed, parameters: Any = None
) -> tuple[tuple[Any, ...], ...]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, parameters)
        return tuple(await cursor.fetchall())
