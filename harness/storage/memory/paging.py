"""Order and pages: a total order by one field and a tiebreak, None later than everything."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from harness.storage.requests import Page

RowT = TypeVar("RowT")


def paged(rows: Iterable[RowT], page: Page, tiebreak: Callable[[RowT], Any]) -> list[RowT]:
    """Return the rows of a page.

    Text sorts by code point, as PostgreSQL does it with COLLATE "C".
    """

    def place(row: RowT) -> Any:
        value = getattr(row, page.sort_by)
        return (value is None, value if value is not None else 0, tiebreak(row))

    ordered = sorted(rows, key=place, reverse=page.sort_order == "desc")
    return ordered[page.offset : page.offset + page.limit]
