"""The key-value store over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any

from langgraph_sdk.client import LangGraphClient

from harness.errors import InvalidInput
from harness.models import Item, SortOrder
from harness.storage.checks import check_address, check_flag
from harness.storage.interface import ItemSortBy, JsonObject
from harness.storage.remote import wire
from harness.storage.remote.wire import checked, read, write


class RemoteItems:
    """`ItemStore`, as the SDK calls it; a search has the server's order."""

    def __init__(self, client: Callable[[str], LangGraphClient]) -> None:
        self._client = client

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
        """Store a value in the place of the old one."""
        await write(
            lambda: self._client(owner).store.put_item(
                namespace,
                key=key,
                value=checked(value, "value"),
                ttl=ttl,  # type: ignore[arg-type]  # fractions of a minute too
            )
        )

    async def get_item(
        self, namespace: Sequence[str], /, key: str, *, refresh_ttl: bool = True, owner: str
    ) -> Item | None:
        """Return an item, None if there is none."""
        # A query has no types, and its namespace is one text: they are checked here.
        labels, name = check_address(namespace, key)
        refreshed = check_flag(refresh_ttl, "refresh_ttl")
        found: Any = await read(
            lambda: self._client(owner).store.get_item(labels, key=name, refresh_ttl=refreshed)
        )
        return None if found is None else wire.item(found)

    async def delete_item(self, namespace: Sequence[str], /, key: str, *, owner: str) -> None:
        """Remove an item."""
        await write(lambda: self._client(owner).store.delete_item(namespace, key=key))

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
        """Find items under the prefix's labels.

        Raises:
            InvalidInput: Another order than the server's is asked for.
        """
        if (sort_by, sort_order) != ("created_at", "desc"):
            raise InvalidInput("the API has one order of items: the newest first")
        found: Any = await read(
            lambda: self._client(owner).store.search_items(
                namespace_prefix,
                filter=checked(filter, "filter"),
                limit=limit,
                offset=offset,
                refresh_ttl=refresh_ttl,
            )
        )
        return [wire.item(one) for one in found["items"]]

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
        found: Any = await read(
            lambda: self._client(owner).store.list_namespaces(
                None if prefix is None else list(prefix),
                None if suffix is None else list(suffix),
                max_depth,
                limit,
                offset,
            )
        )
        return [tuple(namespace) for namespace in found["namespaces"]]
