"""Items: put, get, overwrite, find and delete."""

from typing import TYPE_CHECKING, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    HOME,
    an_item,
    put_all,
    settle,
)
from harness.errors import Forbidden
from harness.storage.extensions import FullStorage, ItemKeeper

if TYPE_CHECKING:
    from harness.models import Json


class StoreStorageContract(StorageContract):
    """What `storage.items` promises about items that do not expire."""

    needs: ClassVar[frozenset[type]] = frozenset({ItemKeeper})

    async def test_put_and_get(self, storage: FullStorage) -> None:
        """What was put is what is read, with its address and times."""
        await storage.items.put_item(("user", "ada"), "likes", {"tea": True}, owner=ALICE)
        item = await storage.items.get_item(("user", "ada"), "likes", owner=ALICE)
        assert item is not None
        assert (item.namespace, item.key) == (("user", "ada"), "likes")
        assert item.value == {"tea": True}
        assert item.created_at == item.updated_at
        assert item.created_at.utcoffset() is not None

    @pytest.mark.invariant(23)
    async def test_get_of_nothing(self, storage: FullStorage, probe: Probe) -> None:
        """Reading a missing item gives None and makes neither item nor namespace."""
        assert await storage.items.get_item(HOME, "nothing", owner=ALICE) is None
        assert await storage.items.search_items(HOME, owner=ALICE) == []
        assert await storage.items.count_items(HOME, owner=ALICE) == 0
        await storage.items.delete_item(HOME, "nothing", owner=ALICE)
        assert await storage.items.list_namespaces(owner=ALICE) == []
        assert await probe.count("store_items") == 0

    async def test_delete_item(self, storage: FullStorage, probe: Probe) -> None:
        """A deleted item is gone with its namespace; deleting again is no error."""
        await an_item(storage, "a")
        await an_item(storage, "b", namespace=("elsewhere",))
        for _ in range(2):
            await storage.items.delete_item(HOME, "a", owner=ALICE)
        assert await storage.items.get_item(HOME, "a", owner=ALICE) is None
        assert await storage.items.list_namespaces(owner=ALICE) == [("elsewhere",)]
        assert await probe.count("store_items") == 1

    async def test_search_within_namespace(self, storage: FullStorage) -> None:
        """A search finds what lies under its prefix, newest first, and nothing else."""
        one = await an_item(storage, "one", namespace=("a", "b"))
        two = await an_item(storage, "two", namespace=("a", "c"))
        await an_item(storage, "three", namespace=("b", "a"))
        search = storage.items.search_items
        assert await search(("a",), owner=ALICE) == [two, one]
        assert await search(("a", "b"), owner=ALICE) == [one]
        assert await search(("a", "b", "c"), owner=ALICE) == []
        assert await search(("c",), owner=ALICE) == []
        assert len(await search((), owner=ALICE)) == 3

    async def test_search_pages(self, storage: FullStorage) -> None:
        """Limit and offset cut the list; ten is the default; zero is nothing."""
        rows = [{"namespace": HOME, "key": f"k{n:02}", "value": {}} for n in range(12)]
        await put_all(storage, rows)
        search = storage.items.search_items

        async def keys(**page: int) -> list[str]:
            found = await search(HOME, sort_by="key", sort_order="asc", owner=ALICE, **page)  # type: ignore[arg-type]  # a page as keyword arguments
            return [item.key for item in found]

        assert await keys() == [f"k{n:02}" for n in range(10)]
        assert await keys(limit=3, offset=8) == ["k08", "k09", "k10"]
        assert await keys(limit=0) == []
        assert len(await keys(limit=1_000)) == 12

    async def test_list_namespaces(self, storage: FullStorage) -> None:
        """Each namespace that holds an item is listed once, by code point."""
        for namespace in (("b",), ("a", "z"), ("a",), ("a", "b"), ("B",), ("ä",)):
            for key in ("1", "2"):
                await an_item(storage, key, namespace=namespace)
        assert await storage.items.list_namespaces(owner=ALICE) == [
            ("B",),
            ("a",),
            ("a", "b"),
            ("a", "z"),
            ("b",),
            ("ä",),
        ]

    @pytest.mark.invariant(18)
    async def test_put_overwrites_existing(self, storage: FullStorage, probe: Probe) -> None:
        """Overwriting replaces the value and `updated_at`, and keeps `created_at`."""
        before = await an_item(storage, value={"a": 1, "b": 2})
        after = await an_item(storage, value={"a": 3})
        assert after.value == {"a": 3}
        assert after.created_at == before.created_at
        assert after.updated_at > before.updated_at
        assert await probe.count("store_items") == 1

    @pytest.mark.invariant(18)
    async def test_an_item_deleted_and_put_again_is_new(self, storage: FullStorage) -> None:
        """What was deleted has no `created_at` to keep."""
        before = await an_item(storage)
        await storage.items.delete_item(HOME, before.key, owner=ALICE)
        after = await an_item(storage)
        assert after.created_at == after.updated_at > before.created_at

    @pytest.mark.invariant(18)
    async def test_concurrent_puts_of_one_address(self, storage: FullStorage, probe: Probe) -> None:
        """Twenty puts at once leave one whole item."""
        values: list[Json] = [{"n": n, "twice": 2 * n} for n in range(20)]
        await settle(storage.items.put_item(HOME, "k", value, owner=ALICE) for value in values)
        item = await storage.items.get_item(HOME, "k", owner=ALICE)
        assert item is not None
        assert item.value in values
        assert await probe.count("store_items") == 1

    @pytest.mark.invariant(6)
    async def test_owner_isolation(self, storage: FullStorage) -> None:
        """Two owners' items of one address never meet."""
        alices = await an_item(storage, value={"of": ALICE}, owner=ALICE)
        bobs = await an_item(storage, value={"of": BOB}, owner=BOB)
        await storage.items.delete_item(HOME, "note", owner="carol")
        assert await storage.items.search_items((), owner=ALICE) == [alices]
        assert await storage.items.search_items((), owner=BOB) == [bobs]
        assert await storage.items.list_namespaces(owner="carol") == []
        await storage.items.delete_item(HOME, "note", owner=ALICE)
        assert await storage.items.get_item(HOME, "note", owner=BOB) == bobs

    @pytest.mark.invariant(14)
    async def test_system_items_stand_behind_ones_own(self, storage: FullStorage) -> None:
        """A system item is read by everybody who has none of their own at its address."""
        shared = await an_item(storage, "shared", value={"of": "system"}, owner="system")
        other = await an_item(
            storage, "x", namespace=("common",), value={"of": "system"}, owner="system"
        )
        mine = await an_item(storage, "shared", value={"of": ALICE}, owner=ALICE)
        get, search = storage.items.get_item, storage.items.search_items
        assert await get(HOME, "shared", owner=ALICE) == mine
        assert await get(HOME, "shared", owner=BOB) == shared
        assert await search((), owner=ALICE) == [mine, other]
        assert await search((), owner=BOB) == [other, shared]
        assert await storage.items.count_items((), owner=ALICE) == 2
        hidden = await search((), filter={"of": "system"}, owner=ALICE)
        assert hidden == [other]
        assert await storage.items.list_namespaces(owner=BOB) == [("common",), HOME]

    @pytest.mark.invariant(14)
    async def test_system_items_are_not_deleted_by_others(self, storage: FullStorage) -> None:
        """Deleting removes one's own; where only system has one it is forbidden."""
        shared = await an_item(storage, value={"of": "system"}, owner="system")
        await an_item(storage, value={"of": ALICE}, owner=ALICE)
        await storage.items.delete_item(HOME, "note", owner=ALICE)
        assert await storage.items.get_item(HOME, "note", owner=ALICE) == shared
        with pytest.raises(Forbidden):
            await storage.items.delete_item(HOME, "note", owner=ALICE)
        await storage.items.delete_item(HOME, "note", owner="system")
        assert await storage.items.get_item(HOME, "note", owner=ALICE) is None

    @pytest.mark.invariant(37)
    async def test_count_items(self, storage: FullStorage) -> None:
        """Count is the length of search, with prefix and filter."""
        for number in range(6):
            await an_item(
                storage, f"k{number}", namespace=("n", str(number % 2)), value={"n": number}
            )
        for prefix in ((), ("n",), ("n", "1"), ("m",)):
            for condition in (None, {"n": {"$gt": 2}}, {"n": 9}):
                found = await storage.items.search_items(prefix, filter=condition, owner=ALICE)
                counted = await storage.items.count_items(prefix, filter=condition, owner=ALICE)
                assert counted == len(found), (prefix, condition)
