"""Time to live: when items expire, what renews them, and what is left of them."""

from datetime import timedelta
from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    HOME,
    an_item,
    everything,
    put_all,
    settle,
)
from harness.errors import InvalidInput
from harness.storage.extensions import FullStorage, ItemKeeper

SECOND = timedelta(seconds=1)
HALF_A_MINUTE = 0.5


class ItemExpiryContract(StorageContract):
    """What `ttl` promises: minutes, kept to the second, and the expired is as good as gone."""

    needs: ClassVar[frozenset[type]] = frozenset({ItemKeeper})

    async def _gone(self, storage: FullStorage, owner: str = ALICE) -> None:
        """Show that no way of reading finds anything."""
        assert await storage.items.get_item(HOME, "note", owner=owner) is None
        assert await storage.items.search_items((), owner=owner) == []
        assert await storage.items.count_items((), owner=owner) == 0
        assert await storage.items.list_namespaces(owner=owner) == []

    @pytest.mark.invariant(21)
    async def test_ttl_below_a_minute(self, storage: FullStorage, probe: Probe) -> None:
        """An item of half a minute is there after 20 seconds and gone after 31."""
        item = await an_item(storage, ttl=HALF_A_MINUTE)
        await probe.age("store_items", 20 * SECOND)
        read = await storage.items.get_item(HOME, "note", refresh_ttl=False, owner=ALICE)
        assert read is not None
        assert read.value == item.value
        await probe.age("store_items", 11 * SECOND)
        await self._gone(storage)

    @pytest.mark.invariant(21)
    async def test_ttl_of_minutes(self, storage: FullStorage, probe: Probe) -> None:
        """An item of 90 minutes is there after 89 and gone after 91."""
        await an_item(storage, ttl=90)
        await probe.age("store_items", timedelta(minutes=89))
        assert await storage.items.count_items((), owner=ALICE) == 1
        await probe.age("store_items", timedelta(minutes=2))
        await self._gone(storage)

    @pytest.mark.invariant(21)
    async def test_the_shortest_and_the_longest(self, storage: FullStorage) -> None:
        """A nanosecond is over at once, and a century is a time to live like any other."""
        await storage.items.put_item(HOME, "note", {}, ttl=1e-9 / 60, owner=ALICE)
        await self._gone(storage)
        await an_item(storage, ttl=100 * 365 * 24 * 60)
        assert await storage.items.count_items((), owner=ALICE) == 1

    @pytest.mark.invariant(21)
    async def test_no_ttl_is_for_ever(self, storage: FullStorage, probe: Probe) -> None:
        """An item without a time to live does not expire."""
        await an_item(storage)
        await probe.age("store_items", timedelta(days=10_000))
        assert await storage.items.count_items((), owner=ALICE) == 1

    @pytest.mark.invariant(21)
    @pytest.mark.parametrize("way", ["get", "search"])
    async def test_reading_renews(self, storage: FullStorage, probe: Probe, way: str) -> None:
        """Reading starts the time to live anew, and is no update of the item."""
        before = await an_item(storage, ttl=1)
        await probe.age("store_items", 50 * SECOND)
        if way == "get":
            read = await storage.items.get_item(HOME, "note", owner=ALICE)
        else:
            [read] = await storage.items.search_items(HOME, owner=ALICE)
        assert read is not None
        assert read.updated_at == before.updated_at - 50 * SECOND
        await probe.age("store_items", 50 * SECOND)
        assert await storage.items.count_items((), owner=ALICE) == 1
        await probe.age("store_items", 11 * SECOND)
        await self._gone(storage)

    @pytest.mark.invariant(21)
    @pytest.mark.parametrize("way", ["get", "search", "count", "list"])
    async def test_looking_does_not_renew(
        self, storage: FullStorage, probe: Probe, way: str
    ) -> None:
        """Reading without refresh, counting and listing leave the time to live alone."""
        await an_item(storage, ttl=1)
        before = await everything(probe)
        if way == "get":
            await storage.items.get_item(HOME, "note", refresh_ttl=False, owner=ALICE)
        elif way == "search":
            await storage.items.search_items(HOME, refresh_ttl=False, owner=ALICE)
        elif way == "count":
            await storage.items.count_items(HOME, owner=ALICE)
        else:
            await storage.items.list_namespaces(owner=ALICE)
        assert await everything(probe) == before

    @pytest.mark.invariant(21)
    async def test_search_renews_only_what_it_returns(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Items beyond the page, and those the filter leaves out, are not read."""
        for key in ("a", "b", "c"):
            await an_item(storage, key, value={"key": key}, ttl=1)
        await probe.age("store_items", 50 * SECOND)
        [read] = await storage.items.search_items(
            HOME, limit=1, sort_by="key", sort_order="asc", owner=ALICE
        )
        assert read.key == "a"
        [read] = await storage.items.search_items(HOME, filter={"key": "b"}, owner=ALICE)
        assert read.key == "b"
        await probe.age("store_items", 50 * SECOND)
        left = await storage.items.search_items(HOME, owner=ALICE)
        assert {item.key for item in left} == {"a", "b"}

    @pytest.mark.invariant(21)
    async def test_nobody_renews_another_owners_items(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Reading system's item, as everybody may, does not prolong its life."""
        await an_item(storage, ttl=1, owner="system")
        before = await everything(probe)
        assert await storage.items.get_item(HOME, "note", owner=ALICE) is not None
        assert len(await storage.items.search_items(HOME, owner=ALICE)) == 1
        assert await everything(probe) == before

    @pytest.mark.invariant(18)
    async def test_overwriting_replaces_the_ttl(self, storage: FullStorage, probe: Probe) -> None:
        """An overwrite brings its own time to live, or none."""
        await an_item(storage, "a", ttl=1)
        await an_item(storage, "b", ttl=60)
        await an_item(storage, "a")
        await an_item(storage, "b", ttl=1)
        await probe.age("store_items", 61 * SECOND)
        [left] = await storage.items.search_items((), owner=ALICE)
        assert left.key == "a"

    @pytest.mark.invariant(18)
    async def test_putting_over_an_expired_item_makes_a_new_one(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """An expired item leaves no `created_at` behind, swept or not."""
        await an_item(storage, ttl=1)
        await probe.age("store_items", 2 * timedelta(minutes=1))
        after = await an_item(storage, value={"n": 2})
        assert after.created_at == after.updated_at
        assert after.value == {"n": 2}
        assert await probe.count("store_items") == 1

    @pytest.mark.invariant(21)
    async def test_deleting_an_expired_item(self, storage: FullStorage, probe: Probe) -> None:
        """An expired item may be deleted like one that is not there."""
        await an_item(storage, ttl=1)
        await probe.age("store_items", 2 * timedelta(minutes=1))
        await storage.items.delete_item(HOME, "note", owner=ALICE)
        await self._gone(storage)

    @pytest.mark.invariant(21)
    async def test_an_expired_item_hides_nothing(self, storage: FullStorage, probe: Probe) -> None:
        """System's item is seen again where one's own has expired, and the other way round."""
        shared = await an_item(storage, value={"of": "system"}, owner="system")
        await an_item(storage, value={"of": ALICE}, ttl=1, owner=ALICE)
        await probe.age("store_items", timedelta(minutes=2), owner=ALICE)
        assert await storage.items.get_item(HOME, "note", owner=ALICE) == shared
        assert await storage.items.search_items((), owner=ALICE) == [shared]
        assert await storage.items.count_items((), owner=ALICE) == 1
        await an_item(storage, value={"of": "system"}, ttl=1, owner="system")
        await probe.age("store_items", timedelta(minutes=2), owner="system")
        await self._gone(storage)
        await storage.items.delete_item(HOME, "note", owner=BOB)

    @pytest.mark.invariant(21)
    async def test_sweep(self, storage: FullStorage, probe: Probe) -> None:
        """A sweep removes expired items, as many as it may, and no others."""
        for key in ("a", "b", "c"):
            await an_item(storage, key, ttl=1)
        await an_item(storage, "long", ttl=60)
        await an_item(storage, "ever")
        assert await storage.items.sweep() == 0
        await probe.age("store_items", 2 * timedelta(minutes=1))
        assert await storage.items.sweep(limit=2) == 2
        assert await probe.count("store_items") == 3
        assert await storage.items.sweep() == 1
        assert {row["key"] for row in await probe.rows("store_items")} == {"long", "ever"}

    @pytest.mark.invariant(6)
    async def test_sweep_of_one_owner(self, storage: FullStorage, probe: Probe) -> None:
        """A sweep for an owner leaves the others' rows to theirs."""
        for owner in (ALICE, BOB, "system"):
            await an_item(storage, ttl=1, owner=owner)
        await probe.age("store_items", 2 * timedelta(minutes=1))
        assert await storage.items.sweep(owner=ALICE) == 1
        assert await probe.count("store_items", owner=BOB) == 1
        assert await storage.items.sweep() == 2

    async def test_concurrent_sweeps(self, storage: FullStorage, probe: Probe) -> None:
        """Sweeps at once count each removed row once."""
        rows = [{"namespace": HOME, "key": str(n), "value": {}, "ttl": 1} for n in range(20)]
        await put_all(storage, rows)
        await probe.age("store_items", 2 * timedelta(minutes=1))
        removed, _ = await settle(storage.items.sweep() for _ in range(5))
        assert sum(removed) == 20
        assert await probe.count("store_items") == 0

    @pytest.mark.invariant(21)
    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), "1", True, 1e300], ids=repr)
    async def test_bad_ttl(self, storage: FullStorage, probe: Probe, ttl: object) -> None:
        """A time to live is a number of minutes above 0; nothing else is accepted."""
        with pytest.raises(InvalidInput):
            await storage.items.put_item(HOME, "k", {}, ttl=ttl, owner=ALICE)  # type: ignore[arg-type]  # wrong on purpose
        assert await probe.count("store_items") == 0
