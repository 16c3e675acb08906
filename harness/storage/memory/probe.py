"""Raw rows of a memory store."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

from harness.storage.memory import rows
from harness.storage.memory.jsonb import copied
from harness.storage.memory.table import Table
from harness.storage.memory.tables import Tables
from harness.storage.probe import RawRow, completed

_ROW_TYPES: Final[dict[str, type[Any]]] = {
    "assistants": rows.AssistantRow,
    "assistant_versions": rows.VersionRow,
    "threads": rows.ThreadRow,
    "thread_states": rows.StateRow,
    "runs": rows.RunRow,
    "store_items": rows.ItemRow,
    "crons": rows.CronRow,
}


class MemoryProbe:
    """A `Probe` of the tables of a `MemoryBackend`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def rows(self, table: str, **equals: Any) -> list[RawRow]:
        """Return copies of rows."""
        return [_raw(row) for row in self._matching(table, equals)]

    async def count(self, table: str, **equals: Any) -> int:
        """Count rows."""
        return sum(1 for _ in self._matching(table, equals))

    async def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert a row."""
        full = {name: _stored(name, value) for name, value in completed(table, row).items()}
        self._table(table).add(_ROW_TYPES[table](**full))

    async def update(self, table: str, changes: Mapping[str, Any], **equals: Any) -> int:
        """Set columns."""
        matching = list(self._matching(table, equals))
        for row in matching:
            new = {name: _stored(name, value) for name, value in changes.items()}
            self._table(table).change(row, **new)
        return len(matching)

    async def age(self, table: str, by: timedelta, **equals: Any) -> int:
        """Move times into the past."""
        matching = list(self._matching(table, equals))
        for row in matching:
            times = {k: v - by for k, v in _raw(row).items() if isinstance(v, datetime)}
            self._table(table).change(row, **times)
        return len(matching)

    def _table(self, table: str) -> Table[Any]:
        found: Table[Any] = getattr(self._tables, table)
        return found

    def _matching(self, table: str, equals: Mapping[str, Any]) -> Iterator[Any]:
        wanted = {name: _stored(name, value) for name, value in equals.items()}
        return (
            row
            for row in self._table(table)
            if all(getattr(row, name) == value for name, value in wanted.items())
        )


def _raw(row: Any) -> RawRow:
    """Return a row's columns; a namespace, as every array, is a list."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {
        name: list(value) if isinstance(value, tuple) else copied(value)
        for name, value in values.items()
    }


def _stored(name: str, value: Any) -> Any:
    return tuple(value) if name == "namespace" else copied(value)
