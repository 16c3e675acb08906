"""Searches and counts: a template, the conditions that a query has, and an order.

Every search reads its page from the caller's rows and from owner `system`'s apart, each in the
order of an index, and merges the two: the database then touches as many rows as it returns.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from harness.models import Json
from harness.storage.postgres.codec import dumps
from harness.storage.postgres.sql import Blocks
from harness.storage.requests import Page
from harness.storage.values import INT_MAX


class Searching:
    """The `search` and `count` templates of one resource.

    Args:
        blocks: Where they stand, with a fragment `where_…` for each condition.
        fields: What can be sorted by.
        tiebreak: Columns that break ties, in the same direction.
    """

    def __init__(self, blocks: Blocks, fields: Iterable[str], tiebreak: Iterable[str]) -> None:
        self._blocks = blocks
        columns = tuple(tiebreak)
        self.orders: Final[Mapping[tuple[str, str], str]] = {
            (field, direction): ", ".join(
                f"found.{column} {direction}" for column in dict.fromkeys((field, *columns))
            )
            for field in fields
            for direction in ("asc", "desc")
        }
        self.conditions: Final = tuple(name for name in blocks if name.startswith("where_"))
        self.search = cache(self._search)
        """The statement for the names of conditions and a page's order."""
        self.count = cache(self._count)
        """The statement for the names of conditions."""

    def _search(self, conditions: tuple[str, ...], order: tuple[str, str]) -> str:
        return self._blocks.render(
            "search", conditions=self.where(conditions), order=self.orders[order]
        )

    def _count(self, conditions: tuple[str, ...]) -> str:
        return self._blocks.render("count", conditions=self.where(conditions))

    def where(self, conditions: tuple[str, ...]) -> str:
        """Return the conditions as SQL, each beginning with AND."""
        return " ".join(self._blocks[name] for name in conditions)


def given(**values: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the names of the conditions that a query has, and their parameters.

    An argument that is None, or an empty object to be contained, is no condition.
    """
    kept = {name: value for name, value in values.items() if value is not None and value != {}}
    names = tuple(f"where_{name}" for name in kept)
    return names, {name: _parameter(value) for name, value in kept.items()}


def page_parameters(page: Page) -> dict[str, int]:
    """Return limit, offset, and how far into each owner's rows a page can reach."""
    return {
        "limit": page.limit,
        "offset": page.offset,
        "reach": min(page.limit + page.offset, INT_MAX),
    }


def order_of(page: Page) -> tuple[str, str]:
    """Return what `Searching.search` needs to know of a page."""
    return page.sort_by, page.sort_order


def _parameter(value: Any | Json) -> Any:
    if isinstance(value, dict):
        return dumps(value)
    return list(value) if isinstance(value, tuple) else value
