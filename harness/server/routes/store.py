"""The key-value store: JSON objects under namespaces, which agents' long-term memory is too."""

from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from harness.errors import InvalidInput
from harness.models import Item, SortOrder
from harness.server.failures import HttpError
from harness.server.http import Call, Nothing, Reply, Route, Schema
from harness.server.routes.paging import shown
from harness.storage.checks import RESERVED_ROOT
from harness.storage.filters import parse_filter
from harness.storage.interface import ItemSortBy
from harness.storage.resources.items import MAX_ITEM_LIMIT
from harness.storage.values import INT_MAX

_NO_INDEX: Final = "this server has no index to search by meaning"


class ItemShape(BaseModel):
    """A value under a namespace and a key."""

    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class FoundShape(ItemShape):
    """An item that was found."""

    score: float | None
    """Null: nothing is searched by meaning."""


class FoundItemsShape(BaseModel):
    """Items that were found."""

    items: list[FoundShape]


class NamespacesShape(BaseModel):
    """Namespaces that hold items."""

    namespaces: list[list[str]]


class ItemAddress(Schema):
    """Where an item lies."""

    namespace: list[str]
    key: str


class ItemPut(ItemAddress):
    """An item."""

    value: dict[str, Any]
    index: Literal[False] | list[str] | None = None
    """Paths to search by meaning: refused, there is no index; false and null are what is so."""
    ttl: float | None = Field(default=None, allow_inf_nan=False)
    """Minutes to live, above 0; null: for ever. By default as the server is configured."""


class ItemQuery(Schema):
    """Where an item lies."""

    namespace: str = ""
    """Its labels, with dots between them."""
    key: str = ""
    refresh_ttl: bool | None = None
    """Begin its time to live anew; by default as the server is configured, which is true."""


class ItemSearch(Schema):
    """Which items, in which order."""

    is_search: ClassVar[bool] = True
    namespace_prefix: list[str] = Field(default_factory=list)
    """The labels that their namespaces begin with."""
    filter: dict[str, Any] | None = None
    """What their values hold; `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte` compare."""
    limit: int = Field(default=10, ge=0, le=MAX_ITEM_LIMIT)
    offset: int = Field(default=0, ge=0, le=INT_MAX)
    sort_by: ItemSortBy = "created_at"
    sort_order: SortOrder = "desc"
    query: str | None = None
    """What to search for by meaning: refused, there is no index; an empty one asks for nothing."""
    refresh_ttl: bool | None = None
    """Begin their time to live anew; by default as the server is configured, which is true."""


class NamespaceSearch(Schema):
    """Which namespaces, in alphabetical order."""

    is_search: ClassVar[bool] = True
    prefix: list[str] | None = None
    """Labels that they begin with; `*` is any."""
    suffix: list[str] | None = None
    max_depth: int | None = Field(default=None, ge=1, le=INT_MAX)
    """To be cut down to so many labels."""
    limit: int = Field(default=100, ge=0, le=MAX_ITEM_LIMIT)
    offset: int = Field(default=0, ge=0, le=INT_MAX)


async def put(call: Call[ItemPut, Nothing]) -> Reply:
    """Store an item in the place of the old one."""
    body = call.body
    _check(body.namespace)
    if body.index:
        raise HttpError(422, f"index: {_NO_INDEX}")
    default = call.services.config.item_ttl.default_ttl
    await call.services.storage.items.put_item(
        body.namespace,
        body.key,
        body.value,
        ttl=body.ttl if "ttl" in body.model_fields_set else default,
        owner=call.owner,
    )
    return Reply(status=204)


async def get(call: Call[Nothing, ItemQuery]) -> Reply:
    """Get an item; null if there is none."""
    query = call.query
    namespace = query.namespace.split(".") if query.namespace else []
    if not query.key:
        raise HttpError(400, "Key is required")
    _check(namespace)
    found = await call.services.storage.items.get_item(
        namespace, query.key, refresh_ttl=_refreshes(call, query.refresh_ttl), owner=call.owner
    )
    return Reply(body=None if found is None else _item(found))


async def delete(call: Call[ItemAddress, Nothing]) -> Reply:
    """Delete an item; it is no error if there is none."""
    _check(call.body.namespace)
    await call.services.storage.items.delete_item(
        call.body.namespace, call.body.key, owner=call.owner
    )
    return Reply(status=204)


async def search(call: Call[ItemSearch, Nothing]) -> Reply:
    """Find items under a namespace."""
    body = call.body
    if body.query:
        raise HttpError(422, f"query: {_NO_INDEX}")
    try:
        parse_filter(body.filter)
    except InvalidInput as exc:
        raise HttpError(400, str(exc)) from exc
    found = await call.services.storage.items.search_items(
        body.namespace_prefix,
        filter=body.filter,
        limit=body.limit,
        offset=body.offset,
        refresh_ttl=_refreshes(call, body.refresh_ttl),
        sort_by=body.sort_by,
        sort_order=body.sort_order,
        owner=call.owner,
    )
    return Reply(body={"items": [{**_item(one), "score": None} for one in found]})


async def namespaces(call: Call[NamespaceSearch, Nothing]) -> Reply:
    """List the namespaces that hold items."""
    body = call.body
    found = await call.services.storage.items.list_namespaces(
        body.prefix, body.suffix, body.max_depth, body.limit, body.offset, owner=call.owner
    )
    return Reply(body={"namespaces": [list(namespace) for namespace in found]})


def _refreshes(call: Call[Any, Any], given: bool | None) -> bool:
    return call.services.config.item_ttl.refresh_on_read if given is None else given


def _item(item: Item) -> dict[str, Any]:
    return {**shown(item), "namespace": list(item.namespace)}


def _check(namespace: list[str]) -> None:
    """Tell two mistakes by the status that the official server has for them.

    Raises:
        HttpError: 400, there are no labels, or the first is LangGraph's own.
    """
    if not namespace:
        raise HttpError(400, "namespace must not be empty")
    if namespace[0] == RESERVED_ROOT:
        raise HttpError(400, f"the root label {RESERVED_ROOT!r} is reserved")


_ITEMS: Final = "/store/items"

ROUTES: tuple[Route, ...] = (
    Route("PUT", _ITEMS, put, {204: None}, fails=(400,)),
    Route("GET", _ITEMS, get, {200: ItemShape | None}, fails=(400,)),
    Route("DELETE", _ITEMS, delete, {204: None}, fails=(400,)),
    Route("POST", _ITEMS + "/search", search, {200: FoundItemsShape}, fails=(400,)),
    Route("POST", "/store/namespaces", namespaces, {200: NamespacesShape}),
)
