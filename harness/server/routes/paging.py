"""Pages of what a search finds, and the fields of it that are shown."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from pydantic import Field

from harness.models import SortOrder
from harness.server.http import Reply, Schema
from harness.storage.checks import MAX_LIMIT
from harness.storage.values import INT_MAX

PAGED: Final = {
    "X-Pagination-Total": "How many the search would find without a limit.",
    "X-Pagination-Next": "The next page's offset, if there is one.",
}


class Paged(Schema):
    """Which part of what is found, newest first."""

    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=INT_MAX)


class Sorted(Paged):
    """Which part of what is found, and in which order."""

    sort_order: SortOrder = "desc"

    @property
    def part(self) -> dict[str, Any]:
        """What it is called where storage is searched."""
        names = {"limit", "offset", "sort_by", "sort_order"}
        return self.model_dump(include=names, exclude_none=True)


async def page(
    rows: Sequence[Mapping[str, Any]],
    asked: Paged,
    select: Sequence[str] | None,
    count: Callable[[], Awaitable[int]],
) -> Reply:
    """Return a page with its headers.

    Args:
        rows: What was found.
        asked: For which page.
        select: The fields to show; None: all.
        count: Returns how many there are in all; not called where the page tells.
    """
    end = asked.offset + len(rows)
    ended = len(rows) < asked.limit and (rows or not asked.offset)
    total = end if ended else await count()
    headers = {"X-Pagination-Total": str(total)}
    if total > end:
        headers["X-Pagination-Next"] = str(end)
    return Reply(body=[selected(row, select) for row in rows], headers=headers)


def selected(row: Mapping[str, Any], select: Sequence[str] | None) -> Mapping[str, Any]:
    """Return the fields of a row that were asked for; those that it has not are left out."""
    if not select:
        return row
    return {name: row[name] for name in select if name in row}


def shown(record: Any) -> dict[str, Any]:
    """Return a record's fields."""
    return {field.name: getattr(record, field.name) for field in fields(record)}
