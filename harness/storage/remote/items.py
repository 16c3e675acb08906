"""The key-value store over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from langgraph_sdk.client import LangGraphClient

from harness.models import Item, SortOrder
from harness.storage.checks import check_address, check_flag
from harness.storage.interface import ItemSortBy, JsonObject
from harness.storage.remote import wire
from harness.storage.remote.wire import body, checked, needed, read, write

_ORDER: Final = {"sort_by": "created_at", "sort_order": "desc"}
"""Of a search that names none."""


class RemoteItems:
    """`ItemStore`, as the SDK calls it."""

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
        asked: Any = checked({"value": checked(value, "value"), "ttl": ttl}, "item")
        await write(lambda: self._client(owner).store.put_item(namespace, key=key, **asked))

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

        The SDK has no place for an order, which a server of this project takes all the same.
        """
        asked: Any = {
            "filter": checked(filter, "filter"),
            "limit": needed(limit, "limit"),
            "offset": needed(offset, "offset"),
            "refresh_ttl": needed(refresh_ttl, "refresh_ttl"),
        }
        order = {
            "sort_by": needed(sort_by, "sort_by"),
            "sort_order": needed(sort_order, "sort_order"),
        }

        async def send() -> Any:
            client = self._client(owner)
            if order == _ORDER:
                return await client.store.search_items(namespace_prefix, **asked)
            return await client.http.post(
                "/store/items/search",
                json=body(namespace_prefix=namespace_prefix, **asked, **order),
            )

        found = await read(send)
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
                prefix,  # type: ignore[arg-type]  # a tuple is written as a list
                suffix,  # type: ignore[arg-type]  # likewise
                max_depth,
                needed(limit, "limit"),
                needed(offset, "offset"),
            )
        )
        return [tuple(namespace) for namespace in found["namespaces"]]
