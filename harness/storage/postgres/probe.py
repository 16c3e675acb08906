"""Raw rows of a Postgres store, by plain SQL."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import Jsonb, set_json_loads
from psycopg_pool import AsyncConnectionPool

from harness.schema import SCHEMA
from harness.storage.probe import RawRow, columns, completed
from harness.storage.values import INT_MAX, INT_MIN

_TYPES = """
    SELECT attname AS name, format_type(atttypid, NULL) AS type
      FROM pg_attribute
     WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
_TIME = "timestamp with time zone"
Part = SQL | Composed


class PostgresProbe:
    """A `Probe` of the tables in a migrated database.

    Args:
        pool: A pool of autocommit connections to it.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        self._pool = pool
        self._types: dict[str, dict[str, str]] = {}

    async def rows(self, table: str, **equals: Any) -> list[RawRow]:
        """Return rows."""
        where, parameters = await self._where(table, equals)
        listed = SQL(", ").join(map(Identifier, columns(table)))
        query = SQL("SELECT {} FROM {}{}").format(listed, _name(table), where)
        return [_raw(row) for row in await self._fetch(query, parameters)]

    async def count(self, table: str, **equals: Any) -> int:
        """Count rows."""
        where, parameters = await self._where(table, equals)
        query = SQL("SELECT count(*) AS count FROM {}{}").format(_name(table), where)
        [row] = await self._fetch(query, parameters)
        return int(row["count"])

    async def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert a row."""
        full = completed(table, row)
        places, parameters = await self._places(table, full)
        query = SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            _name(table), SQL(", ").join(map(Identifier, full)), SQL(", ").join(places)
        )
        await self._change(query, parameters)

    async def update(self, table: str, changes: Mapping[str, Any], **equals: Any) -> int:
        """Set columns."""
        places, parameters = await self._places(table, changes)
        where, restricting = await self._where(table, equals)
        assignments = [
            SQL("{} = {}").format(Identifier(name), place)
            for name, place in zip(changes, places, strict=True)
        ]
        return await self._set(table, assignments, where, [*parameters, *restricting])

    async def age(self, table: str, by: timedelta, **equals: Any) -> int:
        """Move times into the past."""
        types = await self._types_of(table)
        times = [name for name in columns(table) if types[name] == _TIME]
        where, restricting = await self._where(table, equals)
        assignments = [SQL("{0} = {0} - %s").format(Identifier(name)) for name in times]
        return await self._set(table, assignments, where, [*[by] * len(times), *restricting])

    async def _set(
        self,
        table: str,
        assignments: Sequence[Part],
        where: Part,
        parameters: Sequence[Any],
    ) -> int:
        query = SQL("UPDATE {} SET {}{}").format(_name(table), SQL(", ").join(assignments), where)
        return await self._change(query, parameters)

    async def _where(self, table: str, equals: Mapping[str, Any]) -> tuple[Part, list[Any]]:
        if not equals:
            return SQL(""), []
        places, parameters = await self._places(table, equals)
        tests = [
            SQL("{} IS NOT DISTINCT FROM {}").format(Identifier(name), place)
            for name, place in zip(equals, places, strict=True)
        ]
        return SQL(" WHERE ") + SQL(" AND ").join(tests), parameters

    async def _places(self, table: str, values: Mapping[str, Any]) -> tuple[list[Part], list[Any]]:
        """Return a placeholder, cast to the column's type, and a parameter for each value."""
        types = await self._types_of(table)
        # The catalog's own names of types; nothing that a caller wrote.
        places: list[Part] = [SQL("%s::{}").format(SQL(types[name])) for name in values]
        return places, [_parameter(value, types[name]) for name, value in values.items()]

    async def _types_of(self, table: str) -> dict[str, str]:
        if table not in self._types:
            rows = await self._fetch(SQL(_TYPES), [f"{SCHEMA}.{table}"])
            self._types[table] = {row["name"]: row["type"] for row in rows}
        return self._types[table]

    async def _fetch(self, query: Part, parameters: Sequence[Any]) -> list[RawRow]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            set_json_loads(_loads, cursor)
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def _change(self, query: Part, parameters: Sequence[Any]) -> int:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return int(cursor.rowcount)


def _loads(text: str | bytes) -> Any:
    """Parse jsonb's text, which writes `1e22` out in digits: beyond 64 bits it was a float."""
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    whole = int(digits)
    return whole if INT_MIN <= whole <= INT_MAX else float(whole)


def _name(table: str) -> Identifier:
    return Identifier(SCHEMA, table)


def _parameter(value: Any, column_type: str) -> Any:
    if column_type == "jsonb" and value is not None:
        return Jsonb(value)
    return list(value) if isinstance(value, tuple) else value


def _raw(row: Mapping[str, Any]) -> RawRow:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value
