"""What calls about items ask for."""

import asyncio
from typing import Any
from uuid import uuid4

from tests.integration.fields.registry import Client, effect
from tests.integration.fields.ways import refused


@effect("store.put_item + PUT /store/items", "namespace", "key", "value", "index", "ttl")
@effect("store.get_item + GET /store/items", "namespace", "key")
@effect("store.delete_item + DELETE /store/items", "namespace", "key")
async def items(client: Client) -> None:
    """An item lies where it was put; an index is refused."""
    place, store = [str(uuid4())], client.store
    await store.put_item(place, "k", {"n": 1}, index=False)
    assert (await store.get_item(place, "k"))["value"] == {"n": 1}
    assert await store.get_item(place, "other") is None
    assert await store.get_item([*place, "below"], "k") is None
    await store.delete_item(place, "other")
    assert await store.get_item(place, "k") is not None
    await store.delete_item(place, "k")
    assert await store.get_item(place, "k") is None
    assert await refused(store.put_item(place, "k", {}, index=["a"])) == 422
    assert await refused(store.put_item(place, "k", {}, ttl=0)) == 422


async def put_for(client: Client, place: list[str], key: str, seconds: float) -> None:
    """Put an item that lives so many seconds."""
    ttl: Any = seconds / 60
    await client.store.put_item(place, key, {"n": 1}, ttl=ttl)


@effect(
    "store.search_items + POST /store/items/search",
    *("namespace_prefix", "filter", "limit", "offset", "query", "refresh_ttl"),
)
@effect("POST /store/items/search", "sort_by", "sort_order")
async def search(client: Client) -> None:
    """Conditions, order and page each change what is found; a search by meaning is refused."""
    root = str(uuid4())
    for key, place in (("b", [root]), ("a", [root, "below"])):
        await client.store.put_item(place, key, {"key": key})
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["a", "b"]),
        ({"namespace_prefix": [root, "below"]}, ["a"]),
        ({"filter": {"key": "b"}}, ["b"]),
        ({"limit": 1}, ["a"]),
        ({"offset": 1}, ["b"]),
        ({"query": ""}, ["a", "b"]),
        ({"sort_by": "key"}, ["b", "a"]),
        ({"sort_order": "asc"}, ["b", "a"]),
    ]
    for given, expected in asked:
        which: Any = {"namespace_prefix": [root], **given}
        by_route = await client.http.post("/store/items/search", json=which)
        assert [item["key"] for item in by_route["items"]] == expected, given
        if not given.keys() & {"sort_by", "sort_order", "query"}:
            prefix = which.pop("namespace_prefix")
            found = await client.store.search_items(prefix, **which)
            assert [item["key"] for item in found["items"]] == expected, given
    assert await refused(client.store.search_items([root], query="what?")) == 422


@effect("store.put_item + PUT /store/items", "ttl")
@effect("store.get_item + GET /store/items", "refresh_ttl")
@effect("store.search_items + POST /store/items/search", "refresh_ttl")
async def times_to_live(client: Client) -> None:
    """What is read or found lives on, or does not."""
    store = client.store
    read, not_read, found, not_found = places = [[str(uuid4())] for _ in range(4)]
    for place in places:
        await put_for(client, place, "k", 2.4)
    for _ in range(3):
        await asyncio.sleep(0.9)
        await store.get_item(read, "k", refresh_ttl=True)
        await store.get_item(not_read, "k", refresh_ttl=False)
        await store.search_items(found, refresh_ttl=True)
        await store.search_items(not_found, refresh_ttl=False)
    assert await store.get_item(read, "k") is not None
    assert await store.get_item(not_read, "k") is None
    assert (await store.search_items(found))["items"]
    assert not (await store.search_items(not_found))["items"]


@effect(
    "store.list_namespaces + POST /store/namespaces",
    *("prefix", "suffix", "max_depth", "limit", "offset"),
)
async def namespaces(client: Client) -> None:
    """Conditions, depth and page each change what is listed."""
    root = str(uuid4())
    for place in ([root, "a"], [root, "b", "c"]):
        await client.store.put_item(place, "k", {})
    asked: list[tuple[dict[str, Any], list[list[str]]]] = [
        ({}, [[root, "a"], [root, "b", "c"]]),
        ({"prefix": [root, "b"]}, [[root, "b", "c"]]),
        ({"suffix": ["a"]}, [[root, "a"]]),
        ({"max_depth": 1}, [[root]]),
        ({"limit": 1}, [[root, "a"]]),
        ({"offset": 1}, [[root, "b", "c"]]),
    ]
    for given, expected in asked:
        which: Any = {"prefix": [root], **given}
        assert await client.store.list_namespaces(**which) == {"namespaces": expected}, given
