"""The Probe protocol: raw rows, planted and read without any of the methods under test.

Tables and columns are those of the schema `langgraph_server`, whatever a backend keeps its data in.
Ids are text, times are in UTC, JSON is Python's, arrays are lists.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

TABLES: Final = (
    "assistants",
    "assistant_versions",
    "threads",
    "thread_states",
    "runs",
    "store_items",
    "crons",
)
"""Parents before their children."""

RawRow = dict[str, Any]


class Probe(Protocol):
    """Looks behind a storage. `equals` restricts to rows whose columns have these values."""

    async def rows(self, table: str, **equals: Any) -> list[RawRow]:
        """Return rows, in no particular order."""

    async def count(self, table: str, **equals: Any) -> int:
        """Count rows."""

    async def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert a row; columns that are not given get the values of `completed`."""

    async def update(self, table: str, changes: Mapping[str, Any], **equals: Any) -> int:
        """Set columns, none of a key's, and return in how many rows."""

    async def age(self, table: str, by: timedelta, **equals: Any) -> int:
        """Move every time in the rows into the past; return how many rows there were."""


def completed(table: str, row: Mapping[str, Any]) -> RawRow:
    """Return a row with every column: the given ones, plausible values for the others.

    Raises:
        KeyError: The schema has no such table, or the table no such column.
    """
    now = datetime.now(UTC)
    defaults = _DEFAULTS[table]
    unknown = row.keys() - defaults.keys()
    if unknown:
        raise KeyError(f"{table} has no column {', '.join(sorted(unknown))}")
    full = {name: _made(default, now) for name, default in defaults.items()} | dict(row)
    if "metadata" in full and "owner" in full:
        full["metadata"] = {**full["metadata"], "owner": full["owner"]}
    if "name_folded" in full and "name_folded" not in row:
        full["name_folded"] = full["name"].casefold()
    return full


def columns(table: str) -> tuple[str, ...]:
    """Return the columns that every backend has in a table.

    Raises:
        KeyError: The schema has no such table.
    """
    return tuple(_DEFAULTS[table])


class _Now:
    """The default of a column that holds a time."""


class _NewId:
    """The default of a column that holds an id."""


def _made(default: Any, now: datetime) -> Any:
    if default is _Now:
        return now
    if default is _NewId:
        return str(uuid4())
    return default


_JSON: Final[dict[str, Any]] = {}
_DEFAULTS: Final[dict[str, RawRow]] = {
    "assistants": {
        "assistant_id": _NewId,
        "owner": "system",
        "graph_id": "agent",
        "name": "Untitled",
        "name_folded": "untitled",
        "description": None,
        "config": _JSON,
        "context": _JSON,
        "metadata": _JSON,
        "version": 1,
        "created_at": _Now,
        "updated_at": _Now,
    },
    "assistant_versions": {
        "assistant_id": _NewId,
        "version": 1,
        "graph_id": "agent",
        "name": "Untitled",
        "description": None,
        "config": _JSON,
        "context": _JSON,
        "metadata": _JSON,
        "created_at": _Now,
    },
    "threads": {
        "thread_id": _NewId,
        "owner": "system",
        "status": "idle",
        "values": None,
        "checkpoint_id": None,
        "interrupts": _JSON,
        "error": None,
        "metadata": _JSON,
        "created_at": _Now,
        "updated_at": _Now,
        "state_updated_at": _Now,
        "ttl_minutes": None,
        "ttl_strategy": None,
        "shortened_at": None,
    },
    "thread_states": {
        "thread_id": _NewId,
        "checkpoint_id": _NewId,
        "parent_checkpoint_id": None,
        "seq": 1,
        "values": _JSON,
        "next": [],
        "tasks": [],
        "interrupts": [],
        "metadata": _JSON,
        "created_at": _Now,
    },
    "runs": {
        "run_id": _NewId,
        "thread_id": _NewId,
        "owner": "system",
        "assistant_id": _NewId,
        "status": "pending",
        "kwargs": _JSON,
        "metadata": _JSON,
        "multitask_strategy": "enqueue",
        "attempt": 0,
        "error": None,
        "due_at": _Now,
        "lease_token": None,
        "leased_until": None,
        "created_at": _Now,
        "updated_at": _Now,
    },
    "store_items": {
        "owner": "system",
        "namespace": ["home"],
        "key": "key",
        "value": _JSON,
        "ttl_minutes": None,
        "expires_at": None,
        "created_at": _Now,
        "updated_at": _Now,
    },
    "crons": {
        "cron_id": _NewId,
        "owner": "system",
        "assistant_id": _NewId,
        "thread_id": None,
        "schedule": "0 0 * * *",
        "timezone": None,
        "payload": _JSON,
        "on_run_completed": "delete",
        "end_time": None,
        "enabled": True,
        "next_run_date": None,
        "metadata": _JSON,
        "created_at": _Now,
        "updated_at": _Now,
    },
}
