"""COPY of many new rows, the floor of `create_many`."""

from typing import Any, Final

from harness.measure.calls import Calls
from harness.measure.floors import params as of
from harness.measure.floors.bare import Pool
from harness.measure.floors.params import Params
from harness.measure.floors.sql import blocks
from harness.measure.rows import ASSISTANT_ID, OWNER, Resource

_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "assistants": (
        "assistant_id",
        "owner",
        "graph_id",
        "name",
        "name_folded",
        "description",
        "config",
        "context",
        "metadata",
    ),
    "assistant_versions": (
        "assistant_id",
        "version",
        "graph_id",
        "name",
        "name_folded",
        "description",
        "config",
        "context",
        "metadata",
    ),
    "threads": ("thread_id", "owner", "metadata"),
    "runs": ("run_id", "thread_id", "owner", "assistant_id", "kwargs", "metadata"),
    "items": ("owner", "namespace", "key", "value"),
    "crons": (
        "cron_id",
        "owner",
        "assistant_id",
        "schedule",
        "payload",
        "next_run_date",
        "metadata",
    ),
}
_TABLES: Final[dict[Resource, tuple[str, ...]]] = {
    "assistants": ("assistants", "assistant_versions")
}


def copy_calls(pool: Pool, resource: Resource, size: int) -> Calls:
    """Return calls whose `create_many` copies rows 0 to `size - 1`, in one transaction."""
    sql = blocks("copy")
    made = [{**of.bulk_row(resource, n), "owner": OWNER, "version": 1} for n in range(size)]
    rows = {
        table: [_values(row, _COLUMNS[table]) for row in made]
        for table in _TABLES.get(resource, (resource,))
    }
    threads: Params = {
        "assistant_id": ASSISTANT_ID,
        "thread_ids": [row.get("thread_id") for row in made],
        "run_ids": [row.get("run_id") for row in made],
    }

    async def create_many(_: int) -> None:
        async with pool.connection() as connection, connection.transaction():
            cursor = connection.cursor()
            for table, values in rows.items():
                async with cursor.copy(sql[table]) as copy:
                    for row in values:
                        await copy.write_row(row)
            if resource == "runs":
                await cursor.execute(sql["threads_of_runs"], threads)

    return Calls(create_many=create_many)


def _values(row: Params, columns: tuple[str, ...]) -> tuple[Any, ...]:
    values = (row[column] for column in columns)
    return tuple(of.text(value) if isinstance(value, dict) else value for value in values)
