"""Items: from arguments to requests."""

from collections.abc import Sequence

from harness.models import Item, SortOrder
from harness.storage.checks import (
    check_address,
    check_flag,
    check_integer,
    check_labels,
    check_owner,
)
from harness.storage.engine import ItemEngine
from harness.storage.filters import parse_filter
from harness.storage.interface import ItemSortBy, JsonObject
from harness.storage.lifetimes import check_minutes
from harness.storage.requests import ItemQuery, NamespaceQuery, NewItem
from harness.storage.resources.arguments import bulk_rows, make_page
from harness.storage.values import canonical_object

MAX_ITEM_LIMIT = 10_000


class Items:
    """The key-value store; see `ItemStore` and `ItemKeeper`."""

    def __init__(self, engine: ItemEngine) -> None:
        self._engine = engine

    async def put_item(
        self,
        namespace: Sequence[str],
        /,
        key: str,
        value: JsonObject,
        *,
        ttl: float | None = None,
        owner: str,
    ) -> None:
        """Store a value."""
        await self._engine.put([_new(namespace, key, value, ttl)], owner=check_owner(owner))

    async def put_many(self, rows: Sequence[JsonObject], *, owner: str) -> None:
        """Put all or none."""
        check_owner(owner)
        news = bulk_rows(rows, lambda row: _new(**row))
        if news:
            last = {(new.namespace, new.key): new for new in news}
            await self._engine.put(list(last.values()), owner=owner)

    async def get_item(
        self, namespace: Sequence[str], /, key: str, *, refresh_ttl: bool = True, owner: str
    ) -> Item | None:
        """Return an item, None if there is none."""
        return await self._engine.get(
            *check_address(namespace, key),
            refresh_ttl=check_flag(refresh_ttl, "refresh_ttl"),
            owner=check_owner(owner),
        )

    async def delete_item(self, namespace: Sequence[str], /, key: str, *, owner: str) -> None:
        """Remove an item."""
        await self._engine.delete(*check_address(namespace, key), owner=check_owner(owner))

    async def search_items(
        self,
        namespace_prefix: Sequence[str],
        /,
        *,
        filter: JsonObject | None = None,  # noqa: A002 -- the SDK's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool = True,
        sort_by: ItemSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Item]:
        """Find items."""
        page = make_page(
            limit, offset, sort_by, ItemSortBy, sort_order, min_limit=0, max_limit=MAX_ITEM_LIMIT
        )
        return await self._engine.search(
            _query(namespace_prefix, filter),
            page,
            refresh_ttl=check_flag(refresh_ttl, "refresh_ttl"),
            owner=check_owner(owner),
        )

    async def count_items(
        self,
        namespace_prefix: Sequence[str],
        /,
        *,
        filter: JsonObject | None = None,  # noqa: A002 -- the SDK's name
        owner: str,
    ) -> int:
        """Count what `search_items` would find."""
        return await self._engine.count(_query(namespace_prefix, filter), owner=check_owner(owner))

    async def list_namespaces(
        self,
        prefix: Sequence[str] | None = None,
        suffix: Sequence[str] | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
        *,
        owner: str,
    ) -> list[tuple[str, ...]]:
        """List the namespaces that hold items."""
        page = make_page(limit, offset, min_limit=0, max_limit=MAX_ITEM_LIMIT)
        query = NamespaceQuery(
            prefix=check_labels(() if prefix is None else prefix, "prefix"),
            suffix=check_labels(() if suffix is None else suffix, "suffix"),
            max_depth=None if max_depth is None else check_integer(max_depth, "max_depth", low=1),
            limit=page.limit,
            offset=page.offset,
        )
        return await self._engine.list_namespaces(query, owner=check_owner(owner))

    async def sweep(self, *, limit: int = 1_000, owner: str | None = None) -> int:
        """Remove expired items."""
        return await self._engine.sweep(
            limit=check_integer(limit, "limit", low=1, high=1_000_000),
            owner=None if owner is None else check_owner(owner),
        )


def _new(
    namespace: Sequence[str], key: str, value: JsonObject, ttl: float | None = None
) -> NewItem:
    labels, checked_key = check_address(namespace, key)
    return NewItem(
        namespace=labels,
        key=checked_key,
        value=canonical_object(value, "value"),
        ttl_minutes=None if ttl is None else check_minutes(ttl),
    )


def _query(prefix: Sequence[str], conditions: JsonObject | None) -> ItemQuery:
    return ItemQuery(
        prefix=check_labels(prefix, "namespace_prefix"), conditions=parse_filter(conditions)
    )
