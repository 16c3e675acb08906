"""The rule of ids that are taken, for whole batches: found out before anything is written."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from harness.errors import Conflict
from harness.models import IfExists
from harness.storage.memory.access import Owned
from harness.storage.memory.table import Table


class New(Protocol):
    """A request that says what to do when its id is taken."""

    @property
    def if_exists(self) -> IfExists:
        """`raise`, or `do_nothing` when the row is the caller's own."""


NewT = TypeVar("NewT", bound=New)
RowT = TypeVar("RowT", bound=Owned)


def insert_rows(
    table: Table[RowT],
    news: Sequence[NewT],
    *,
    kind: str,
    identify: Callable[[NewT], str],
    make: Callable[[NewT], RowT],
    owner: str,
    has_expired: Callable[[RowT], bool] = lambda _: False,
    remove: Callable[[RowT], None] | None = None,
) -> tuple[list[RowT], list[RowT]]:
    """Add a row for each request, all or none; return a row for each, and those that are new.

    A row that has expired makes way: `remove` takes it out of the table.

    Raises:
        Conflict: An id is taken, in the table or by an earlier request; with `do_nothing` only
            when the row is another owner's.
    """
    made: dict[str, RowT] = {}
    rows: list[RowT] = []
    for new in news:
        identity = identify(new)
        row = made.get(identity)
        if row is None:
            there = table.get(identity)
            row = None if there is None or has_expired(there) else there
        if row is None:
            row = made[identity] = make(new)
        elif new.if_exists == "raise" or row.owner != owner:
            raise taken(kind, identity)
        rows.append(row)
    for identity, row in made.items():
        old = table.get(identity)
        if old is not None and remove is not None:
            remove(old)
        table.add(row)
    return rows, list(made.values())


def taken(kind: str, identity: str) -> Conflict:
    """Return the error for an id that somebody, perhaps another owner, has already."""
    return Conflict(f"{kind} {identity} already exists")
