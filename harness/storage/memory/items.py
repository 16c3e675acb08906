"""Items, in memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from harness.errors import Forbidden
from harness.models import SYSTEM, Item
from harness.storage.memory.access import visible
from harness.storage.memory.jsonb import matches
from harness.storage.memory.paging import paged
from harness.storage.memory.records import item_of
from harness.storage.memory.rows import ItemRow
from harness.storage.memory.tables import Tables
from harness.storage.requests import ItemQuery, NamespaceQuery, NewItem, Page


class MemoryItems:
    """Carries out requests on items."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        """Put all of them."""
        now = self._tables.clock.now()
        for new in rows:
            row = _row(new, owner, now)
            old = self._tables.store_items.get((owner, new.namespace, new.key))
            if old is not None:
                if not _expired(old, now):
                    row.created_at = old.created_at
                self._tables.store_items.remove(old)
            self._tables.store_items.add(row)

    async def get(
        self, namespace: tuple[str, ...], key: str, *, refresh_ttl: bool, owner: str
    ) -> Item | None:
        """Return the caller's item, else owner `system`'s."""
        now = self._tables.clock.now()
        row = self._live(owner, namespace, key, now) or self._live(SYSTEM, namespace, key, now)
        if row is None:
            return None
        if refresh_ttl:
            self._refresh([row], owner, now)
        return item_of(row)

    async def delete(self, namespace: tuple[str, ...], key: str, *, owner: str) -> None:
        """Remove the caller's item."""
        now = self._tables.clock.now()
        if self._live(owner, namespace, key, now) is None and self._live(
            SYSTEM, namespace, key, now
        ):
            raise Forbidden(f"item {key} of {namespace} belongs to owner {SYSTEM!r}")
        own = self._tables.store_items.get((owner, namespace, key))
        if own is not None:
            self._tables.store_items.remove(own)

    async def search(
        self, query: ItemQuery, page: Page, *, refresh_ttl: bool, owner: str
    ) -> list[Item]:
        """Return a page of the items that match."""
        now = self._tables.clock.now()
        found = paged(self._matching(query, owner, now), page, lambda row: (row.namespace, row.key))
        if refresh_ttl:
            self._refresh(found, owner, now)
        return [item_of(row) for row in found]

    async def count(self, query: ItemQuery, *, owner: str) -> int:
        """Count the items that match."""
        return len(self._matching(query, owner, self._tables.clock.now()))

    async def list_namespaces(self, query: NamespaceQuery, *, owner: str) -> list[tuple[str, ...]]:
        """Return a page of the namespaces that hold items."""
        now = self._tables.clock.now()
        namespaces = {
            row.namespace[: query.max_depth]
            for row in visible(self._tables.store_items, owner)
            if not _expired(row, now)
            and _begins(row.namespace, query.prefix)
            and _begins(row.namespace[::-1], query.suffix[::-1])
        }
        return sorted(namespaces)[query.offset : query.offset + query.limit]

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        """Remove expired items."""
        now = self._tables.clock.now()
        rows = (
            self._tables.store_items
            if owner is None
            else self._tables.store_items.group("owner", owner)
        )
        expired = [row for row in rows if _expired(row, now)][:limit]
        for row in expired:
            self._tables.store_items.remove(row)
        return len(expired)

    def _live(
        self, owner: str, namespace: tuple[str, ...], key: str, now: datetime
    ) -> ItemRow | None:
        row = self._tables.store_items.get((owner, namespace, key))
        return None if row is None or _expired(row, now) else row

    def _refresh(self, rows: Sequence[ItemRow], owner: str, now: datetime) -> None:
        for row in rows:
            if row.owner == owner and row.ttl_minutes is not None:
                until = now + timedelta(minutes=row.ttl_minutes)
                self._tables.store_items.change(row, expires_at=until)

    def _matching(self, query: ItemQuery, owner: str, now: datetime) -> list[ItemRow]:
        depth = len(query.prefix)
        return [
            row
            for row in visible(self._tables.store_items, owner)
            if row.namespace[:depth] == query.prefix
            and not _expired(row, now)
            and (row.owner == owner or self._live(owner, row.namespace, row.key, now) is None)
            and all(matches(row.value, condition) for condition in query.conditions)
        ]


def _row(new: NewItem, owner: str, now: datetime) -> ItemRow:
    ttl = new.ttl_minutes
    return ItemRow(
        owner=owner,
        namespace=new.namespace,
        key=new.key,
        value=new.value,
        ttl_minutes=ttl,
        expires_at=None if ttl is None else now + timedelta(minutes=ttl),
        created_at=now,
        updated_at=now,
    )


def _expired(row: ItemRow, now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def _begins(labels: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether labels begin with the wanted ones, of which `*` is any."""
    return len(labels) >= len(wanted) and all(
        want in ("*", label) for label, want in zip(labels, wanted, strict=False)
    )
