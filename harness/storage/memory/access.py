"""Who may read and write a row, and which rows an owner sees."""

from typing import Protocol, TypeVar

from harness.errors import Forbidden, NotFound
from harness.models import SYSTEM
from harness.storage.memory.table import Table


class Owned(Protocol):
    """A row that somebody owns."""

    owner: str


OwnedT = TypeVar("OwnedT", bound=Owned)


def may_read(row: Owned, owner: str) -> bool:
    """Whether `owner` may read the row."""
    return row.owner in (owner, SYSTEM)


def readable(row: OwnedT | None, kind: str, identity: object, owner: str) -> OwnedT:
    """Return the row if `owner` may read it.

    Raises:
        NotFound: There is none, or it is somebody else's.
    """
    if row is None or not may_read(row, owner):
        raise NotFound.of(kind, identity)
    return row


def writable(row: OwnedT | None, kind: str, identity: object, owner: str) -> OwnedT:
    """Return the row if `owner` may change it.

    Raises:
        NotFound: There is none, or it is somebody else's.
        Forbidden: It is owner `system`'s.
    """
    found = readable(row, kind, identity, owner)
    if found.owner != owner:
        raise Forbidden(f"{kind} {identity} belongs to owner {SYSTEM!r} and is read-only")
    return found


def visible(table: Table[OwnedT], owner: str) -> list[OwnedT]:
    """Return the rows that `owner` may read: the own ones and owner `system`'s."""
    own = table.group("owner", owner)
    return own if owner == SYSTEM else own + table.group("owner", SYSTEM)
