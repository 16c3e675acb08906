"""The parameters of the floors' statements: the rows of a measurement as psycopg is given them."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
from uuid_utils.compat import uuid7

from harness.measure import rows
from harness.measure.rows import NAMESPACE, OWNER, Table, row_id

Params = dict[str, Any]

ID_COLUMNS: Final[dict[Table, str]] = {
    "assistants": "assistant_id",
    "threads": "thread_id",
    "runs": "run_id",
    "crons": "cron_id",
    "states": "checkpoint_id",
}
PAGE: Final = 10
NEXT_RUN: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""When every cron fires next; the floor asks no calendar."""


def text(value: Any) -> str:
    """Return JSON as text, which is how it travels."""
    return orjson.dumps(value).decode()


def columns(table: Table, n: int) -> Params:
    """Return the columns of new row `n`, without id and owner; JSON as Python's."""
    row = rows.new(table, n)
    if table not in {"items", "states"}:
        row["metadata"] = {**row["metadata"], "owner": OWNER}
    match table:
        case "assistants":
            row |= {"name_folded": row["name"].casefold(), "context": row["config"]["configurable"]}
        case "runs":
            row |= {"multitask_strategy": "enqueue", "delay_us": 0}
        case "items":
            row |= {"namespace": list(NAMESPACE), "ttl_minutes": None}
        case "threads":
            row |= dict.fromkeys(("ttl_minutes", "ttl_strategy"))
        case "crons":
            row |= dict.fromkeys(("thread_id", "timezone", "end_time"))
            row |= {"on_run_completed": "delete", "enabled": True, "next_run_date": NEXT_RUN}
        case _:
            pass
    return row


def new(table: Table, n: int) -> Params:
    """Return the parameters of `create`, without an id."""
    row = columns(table, n)
    match table:
        case "runs":
            row |= {"strategy": row.pop("multitask_strategy"), "delay": "0", "lease": None}
        case "states":
            row |= {"id": row.pop("thread_id"), "tasks": [], "interrupts": []}
            row["next"] = text(row["next"])
            row["status"] = "interrupted"
        case _:
            pass
    encoded = {
        name: text(value) if isinstance(value, dict) or value == [] else value
        for name, value in row.items()
    }
    return {**encoded, "owner": OWNER}


def bulk_row(table: Table, n: int) -> Params:
    """Return one of the rows that `create_many` inserts, with an id."""
    row = columns(table, n)
    if table in ID_COLUMNS:
        row[ID_COLUMNS[table]] = str(uuid7())
    return row


def queued(run: Params) -> Params:
    """Return what the thread of a new run is given."""
    return {
        "thread_id": run["thread_id"],
        "runs": 1,
        "next_run_id": run["run_id"],
        "assistant_id": run["assistant_id"],
    }


def address(table: Table, n: int) -> Params:
    """Return the parameters that say which row."""
    match table:
        case "items":
            return {"namespace": list(NAMESPACE), "key": f"note-{n}", "owner": OWNER}
        case "states":
            return {"id": row_id("threads", 0), "owner": OWNER}
        case "runs":
            thread_id = row_id("threads", n)
            return {"id": row_id("runs", n), "thread_id": thread_id, "owner": OWNER}
        case _:
            return {"id": row_id(table, n), "owner": OWNER}


def change(table: Table, n: int) -> Params:
    """Return the parameters that say what an update changes."""
    if table == "items":
        return {"value": text({**rows.item_value(n), **rows.change(n)}), "ttl_minutes": None}
    same: dict[Table, tuple[str, ...]] = {
        "assistants": ("graph_id", "name", "name_folded", "description", "config", "context"),
        "crons": ("payload", "on_run_completed"),
        "threads": ("ttl_minutes", "ttl_strategy"),
    }
    changed: Params = dict.fromkeys(same.get(table, ()))
    return {**changed, "metadata": text({**rows.change(n), "owner": OWNER})}


def tagged(table: Table) -> Params:
    """Return the parameters that find the rows with the tag of row 0."""
    if table == "items":
        return {"key_0_0": "tag", "operand_0": text(rows.tag(0))}
    return {"metadata": text({"tag": rows.tag(0)})}


def page(table: Table, limit: int) -> Params:
    """Return the parameters of a page in default order."""
    if table == "states":
        return {"id": row_id("threads", 0), "owner": OWNER, "limit": limit}
    found: Params = {"owner": OWNER, "limit": limit, "offset": 0, "reach": limit}
    if table == "items":
        found |= {
            "prefix": list(NAMESPACE),
            "prefix_end": [*NAMESPACE[:-1], NAMESPACE[-1] + "\x01"],
        }
    return found
