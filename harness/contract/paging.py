"""Paging and sorting: a total order, pages that fit together, and arguments that make no page."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, get_args

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    all_raise,
    new_id,
)
from harness.errors import InvalidInput
from harness.storage.extensions import CronQueue, FullStorage, ItemKeeper, RunRecords, RunSortBy
from harness.storage.interface import (
    AssistantSortBy,
    CronSortBy,
    ItemSortBy,
    ThreadSortBy,
)

Search = Callable[..., Awaitable[Sequence[Any]]]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

RESOURCES: dict[str, tuple[Callable[[FullStorage], Search], str, Any]] = {
    "assistants": (lambda s: s.assistants.search, "assistant_id", AssistantSortBy),
    "threads": (lambda s: s.threads.search, "thread_id", ThreadSortBy),
    "runs": (lambda s: s.runs.search, "run_id", RunSortBy),
    "crons": (lambda s: s.crons.search, "cron_id", CronSortBy),
}
"""For each resource its search, the name of its id, and the fields it sorts by."""

SORTS = [
    (kind, sort_by, order)
    for kind, (_, _, fields) in RESOURCES.items()
    for sort_by in get_args(fields)
    for order in ("asc", "desc")
]
TEXTS = ("a", "B", "b", "ä", "Z", "a b", "ab", "a_b", "aB", "\U0001f989", "\uffff")
"""Names whose order differs between code points and the collations of languages."""


async def plant(probe: Probe, kind: str, count: int = 12) -> list[dict[str, Any]]:
    """Plant rows whose sort fields have few values, many of them equal; return them."""
    parent = {"assistant_id": new_id(), "thread_id": new_id()}
    if kind in {"runs", "crons"}:
        await probe.insert("assistants", {"assistant_id": parent["assistant_id"], "owner": "x"})
        await probe.insert("threads", {"thread_id": parent["thread_id"], "owner": "x"})
    statuses = {
        "threads": ("idle", "interrupted", "error"),
        "runs": ("pending", "success", "error"),
    }
    rows = []
    for number in range(count):
        some, other = number % 3, number % 2
        row: dict[str, Any] = {
            RESOURCES[kind][1]: new_id(),
            "owner": ALICE,
            "created_at": NOON + timedelta(minutes=some),
            "updated_at": NOON + timedelta(hours=other),
        }
        if kind == "assistants":
            row |= {"name": TEXTS[number % len(TEXTS)], "graph_id": TEXTS[-1 - some]}
        elif kind == "threads":
            row |= {"status": statuses[kind][some], "state_updated_at": NOON - some * timedelta(1)}
        elif kind == "runs":
            row |= {**parent, "status": statuses[kind][some]}
        else:
            row |= {
                "assistant_id": parent["assistant_id"],
                "thread_id": parent["thread_id"] if other else None,
                "next_run_date": NOON + some * timedelta(1) if other else None,
                "end_time": NOON + some * timedelta(2) if some else None,
            }
        await probe.insert(kind, row)
        rows.append(row)
    return rows


def in_order(rows: Sequence[dict[str, Any]], sort_by: str, id_name: str, order: str) -> list[str]:
    """Return the ids in the order that the contract defines: None last, ties by id."""
    ranked = sorted(
        rows,
        key=lambda row: (
            (row[sort_by] is None, row[sort_by] or 0, row[id_name])
            if row[sort_by] is not None
            else (True, 0, row[id_name])
        ),
        reverse=order == "desc",
    )
    return [row[id_name] for row in ranked]


class PagingContract(StorageContract):
    """What order promises: it is total, the same everywhere, and pages cut it without a seam."""

    needs: ClassVar[frozenset[type]] = frozenset({CronQueue, ItemKeeper, RunRecords})

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize(("kind", "sort_by", "order"), SORTS)
    async def test_sort(
        self, storage: FullStorage, probe: Probe, kind: str, sort_by: str, order: str
    ) -> None:
        """Rows are sorted by code point and time, None after all others, ties by id."""
        search, id_name, _ = RESOURCES[kind]
        rows = await plant(probe, kind)
        found = await search(storage)(sort_by=sort_by, sort_order=order, limit=100, owner=ALICE)
        assert [getattr(one, id_name) for one in found] == in_order(rows, sort_by, id_name, order)

    @pytest.mark.invariant(22)
    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("kind", RESOURCES)
    async def test_pages_show_each_row_once(
        self, storage: FullStorage, probe: Probe, kind: str, order: str
    ) -> None:
        """Paging through rows of equal times shows each exactly once, in one order."""
        search, id_name, _ = RESOURCES[kind]
        rows = await plant(probe, kind)
        await probe.update(kind, {"created_at": NOON}, owner=ALICE)
        seen: list[str] = []
        for offset in range(0, 15, 5):
            page = await search(storage)(limit=5, offset=offset, sort_order=order, owner=ALICE)
            seen += [getattr(one, id_name) for one in page]
        assert seen == sorted((row[id_name] for row in rows), reverse=order == "desc")

    @pytest.mark.invariant(22)
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_pages_of_items(self, storage: FullStorage, probe: Probe, order: str) -> None:
        """Items of equal times are ordered by namespace and key, and shown once."""
        addresses = [((space, "x"), key) for space in TEXTS[:4] for key in TEXTS[:3]]
        for namespace, key in addresses:
            await probe.insert(
                "store_items",
                {
                    "owner": ALICE,
                    "namespace": list(namespace),
                    "key": key,
                    "created_at": NOON,
                    "updated_at": NOON,
                },
            )
        seen = []
        for offset in range(0, 15, 5):
            page = await storage.items.search_items(
                (),
                limit=5,
                offset=offset,
                sort_order=order,  # type: ignore[arg-type]  # a parameter of this test
                owner=ALICE,
            )
            seen += [(item.namespace, item.key) for item in page]
        assert seen == sorted(addresses, reverse=order == "desc")

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("sort_by", get_args(ItemSortBy))
    async def test_sort_of_items(
        self, storage: FullStorage, probe: Probe, sort_by: str, order: str
    ) -> None:
        """Items are sorted by key and time, ties by namespace and key."""
        rows = [
            {
                "owner": ALICE,
                "namespace": [space],
                "key": key,
                "created_at": NOON + timedelta(hours=len(key)),
                "updated_at": NOON - timedelta(hours=len(space)),
            }
            for space in ("b", "a", "aa")
            for key in TEXTS[:8]
        ]
        for row in rows:
            await probe.insert("store_items", row)
        found = await storage.items.search_items(
            (),
            sort_by=sort_by,  # type: ignore[arg-type]  # a parameter of this test
            sort_order=order,  # type: ignore[arg-type]  # likewise
            limit=100,
            owner=ALICE,
        )
        ranked = sorted(
            rows,
            key=lambda row: (row[sort_by], row["namespace"], row["key"]),
            reverse=order == "desc",
        )
        assert [(list(item.namespace), item.key) for item in found] == [
            (row["namespace"], row["key"]) for row in ranked
        ]

    @pytest.mark.invariant(22)
    async def test_pages_of_versions_and_runs(self, storage: FullStorage, probe: Probe) -> None:
        """Versions follow their numbers, a thread's runs their ids, where times are equal."""
        assistant = await storage.assistants.create("agent", owner=ALICE)
        for _ in range(6):
            await storage.assistants.update(assistant.assistant_id, owner=ALICE)
        await probe.update("assistant_versions", {"created_at": NOON})
        numbers = []
        for offset in range(0, 9, 3):
            page = await storage.assistants.get_versions(
                assistant.assistant_id, limit=3, offset=offset, owner=ALICE
            )
            numbers += [version.version for version in page]
        assert numbers == [7, 6, 5, 4, 3, 2, 1]
        thread = await storage.threads.create(owner=ALICE)
        for _ in range(7):
            await storage.runs.create(thread.thread_id, assistant.assistant_id, owner=ALICE)
        await probe.update("runs", {"created_at": NOON})
        ids = []
        for offset in range(0, 9, 3):
            runs = await storage.runs.list(thread.thread_id, limit=3, offset=offset, owner=ALICE)
            ids += [run.run_id for run in runs]
        assert len(ids) == 7
        assert ids == sorted(ids, reverse=True)

    @pytest.mark.invariant(22)
    async def test_get_active_of_equal_times(self, storage: FullStorage, probe: Probe) -> None:
        """Of pending runs of one moment the first by id is the active one."""
        assistant = await storage.assistants.create("agent", owner=ALICE)
        thread = await storage.threads.create(owner=ALICE)
        runs = [
            await storage.runs.create(
                thread.thread_id, assistant.assistant_id, run_id=new_id(), owner=ALICE
            )
            for _ in range(5)
        ]
        await probe.update("runs", {"created_at": NOON})
        active = await storage.runs.get_active(thread.thread_id, owner=ALICE)
        assert active is not None
        assert active.run_id == min(run.run_id for run in runs)

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize("kind", RESOURCES)
    async def test_newest_first_by_default(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """Without arguments a search returns the ten newest."""
        search, id_name, _ = RESOURCES[kind]
        rows = await plant(probe, kind)
        found = await search(storage)(owner=ALICE)
        wanted = in_order(rows, "created_at", id_name, "desc")[:10]
        assert [getattr(one, id_name) for one in found] == wanted

    @pytest.mark.parametrize("kind", RESOURCES)
    async def test_beyond_the_end(self, storage: FullStorage, probe: Probe, kind: str) -> None:
        """A page beyond the last row is empty, however far."""
        search, _, _ = RESOURCES[kind]
        await plant(probe, kind, 3)
        assert await search(storage)(offset=3, owner=ALICE) == []
        assert await search(storage)(offset=2**63 - 1, owner=ALICE) == []
        assert len(await search(storage)(offset=2, limit=1_000, owner=ALICE)) == 1

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize(
        "page",
        [
            {"limit": 0},
            {"limit": -1},
            {"limit": 1_001},
            {"limit": 2.0},
            {"limit": "10"},
            {"limit": True},
            {"limit": None},
            {"offset": -1},
            {"offset": 2**63},
            {"offset": 1.5},
            {"offset": None},
            {"sort_by": "colour"},
            {"sort_by": "created_at; DROP TABLE runs"},
            {"sort_by": "metadata"},
            {"sort_by": None},
            {"sort_order": "up"},
            {"sort_order": "DESC"},
            {"sort_order": None},
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("kind", RESOURCES)
    async def test_bad_pages(self, storage: FullStorage, kind: str, page: dict[str, Any]) -> None:
        """Limits, offsets and orders that are none are refused."""
        search, _, _ = RESOURCES[kind]
        with pytest.raises(InvalidInput):
            await search(storage)(**page, owner=ALICE)

    @pytest.mark.invariant(43)
    async def test_bad_pages_of_lists(self, storage: FullStorage) -> None:
        """Lists without a sort order refuse the same limits, each from its own lowest."""
        thread = await storage.threads.create(owner=ALICE)
        assistant = await storage.assistants.create("agent", owner=ALICE)
        await all_raise(
            InvalidInput,
            storage.runs.list(thread.thread_id, limit=-1, owner=ALICE),
            storage.runs.list(thread.thread_id, limit=1_001, owner=ALICE),
            storage.runs.list(thread.thread_id, offset=-1, owner=ALICE),
            storage.assistants.get_versions(assistant.assistant_id, limit=0, owner=ALICE),
            storage.assistants.get_versions(assistant.assistant_id, offset=-1, owner=ALICE),
            storage.items.search_items((), limit=-1, owner=ALICE),
            storage.items.search_items((), limit=10_001, owner=ALICE),
            storage.items.search_items((), sort_by="value", owner=ALICE),  # type: ignore[arg-type]  # wrong on purpose
            storage.items.sweep(limit=0),
            storage.crons.claim_due(limit=0),
        )
