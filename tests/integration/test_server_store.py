"""The key-value store over HTTP: what the official client sends, and what it is answered."""

from collections.abc import Sequence
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, UnprocessableEntityError

from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)


@pytest.mark.invariant(19)
@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (["a b", "c/d"], "k/e?y&z=1#2"),
        (["100%", "%2E", "a%20b"], "50% + %2F"),
        (["ü", "日本"], "🙂 \\ \" '"),
        (["+", "_", "*"], ".a.b"),
    ],
)
async def test_an_address_comes_back_as_it_was_put(
    client: LangGraphClient, labels: Sequence[str], key: str
) -> None:
    """Labels and keys round-trip through the address of a request, escaped or not."""
    namespace = [str(uuid4()), *labels]
    await client.store.put_item(namespace, key, {"v": 1})
    item = await client.store.get_item(namespace, key)
    assert (item["namespace"], item["key"], item["value"]) == (namespace, key, {"v": 1})
    found = await client.store.list_namespaces(prefix=namespace[:1])
    assert found == {"namespaces": [namespace]}
    await client.store.delete_item(namespace, key)
    assert await client.store.get_item(namespace, key) is None


async def test_overwriting_and_deleting(client: LangGraphClient) -> None:
    """A value is replaced and keeps the time when it was first put; deleting twice is no error."""
    place = [str(uuid4())]
    await client.store.put_item(place, "k", {"n": 1.0, "s": "1", "t": True, "x": None})
    before = await client.store.get_item(place, "k")
    assert repr(before["value"]) == repr({"n": 1.0, "s": "1", "t": True, "x": None})
    await client.store.put_item(place, "k", {"n": 2}, index=False, ttl=5)
    after = await client.store.get_item(place, "k", refresh_ttl=False)
    assert after["value"] == {"n": 2}
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]
    for _ in range(2):
        await client.store.delete_item(place, "k")
    assert (await client.store.search_items(place))["items"] == []


@pytest.mark.invariant(23)
async def test_reading_what_is_missing_creates_nothing(client: LangGraphClient) -> None:
    """It is null, and no namespace is listed."""
    place = [str(uuid4())]
    assert await client.store.get_item(place, "k") is None
    assert await client.store.list_namespaces(prefix=place) == {"namespaces": []}


async def test_search(client: LangGraphClient) -> None:
    """By prefix of labels and by filter, newest first, in pages, with a score that is null."""
    root = str(uuid4())
    for number in range(3):
        await client.store.put_item(
            [root, f"r{number}"], f"k{number}", {"n": number, "a": {"b": 1}}
        )
    await client.store.put_item([f"{root}x"], "k", {"n": 0})

    async def keys(**asked: object) -> list[str]:
        found = await client.store.search_items([root], **asked)  # type: ignore[arg-type]
        assert all(item["score"] is None for item in found["items"])
        return [item["key"] for item in found["items"]]

    assert await keys() == ["k2", "k1", "k0"]
    assert await keys(limit=1, offset=1, refresh_ttl=False) == ["k1"]
    assert await keys(limit=0) == []
    assert await keys(limit=1_001) == ["k2", "k1", "k0"]
    assert await keys(filter={"n": {"$gt": 0}}) == ["k2", "k1"]
    assert await keys(filter={"n": {"$ne": 1}, "a": {"b": 1}}) == ["k2", "k0"]
    found = await client.store.list_namespaces([root], max_depth=1)
    assert found == {"namespaces": [[root]]}
    found = await client.store.list_namespaces([root, "*"], ["r1"], limit=1)
    assert found == {"namespaces": [[root, "r1"]]}


@pytest.mark.invariant(15)
async def test_what_is_refused(client: LangGraphClient, server: Serving) -> None:
    """With the official server's statuses, and nothing is written."""
    root = str(uuid4())
    for call in (
        client.store.put_item([], "k", {}),
        client.store.put_item(["langgraph"], "k", {}),
        client.store.get_item([], "k"),
        client.store.get_item([root], ""),
        client.store.delete_item(["langgraph", root], "k"),
        client.store.search_items([root], filter={"n": {"$almost": 1}}),
    ):
        with pytest.raises(BadRequestError):
            await call
    for call in (
        client.store.put_item([root, ""], "k", {}),
        client.store.put_item([root], "", {}),
        client.store.put_item([root], "k" * 2_001, {}),
        client.store.put_item([root], "k", {}, ttl=0),
        client.store.put_item([root], "k", {"nul": "\0"}),
        client.store.search_items([root], limit=-1),
    ):
        with pytest.raises(UnprocessableEntityError):
            await call
    http = server.http()
    for content in (
        b'{"namespace": ["%s", "a.b"], "key": "k", "value": {}}' % root.encode(),
        b'{"namespace": ["%s"], "key": "k", "value": {"n": 9223372036854775808}}' % root.encode(),
        b'{"namespace": ["%s"], "key": "k", "value": {"n": "\\ud800"}}' % root.encode(),
        b'{"namespace": ["%s"], "key": "k", "value": {"n": NaN}}' % root.encode(),
        b'{"namespace": ["%s"], "key": "k", "value": []}' % root.encode(),
        b'{"namespace": ["%s"], "key": 1, "value": {}}' % root.encode(),
        b'{"namespace": ["%s"], "key": "k"}' % root.encode(),
        b"\xff\xfe",
        b"[" * 100_000,
        b"",
    ):
        response = await http.put("/store/items", content=content)
        assert (response.status_code, list(response.json())) == (422, ["detail"])
    response = await http.get(f"/store/items?namespace={root}&key=%ff")
    assert (response.status_code, response.json()) == (422, {"detail": "the address is not UTF-8"})
    assert await client.store.list_namespaces([root]) == {"namespaces": []}
