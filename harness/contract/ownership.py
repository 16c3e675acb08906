"""Ownership: every method, asked by everybody it could be asked by."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    HOME,
    Household,
    a_household,
    all_raise,
    everything,
    new_id,
)
from harness.errors import Forbidden, InvalidInput, NotFound
from harness.models import SYSTEM, Lease
from harness.storage.extensions import (
    CronQueue,
    FullStorage,
    ItemKeeper,
    RunQueue,
    RunRecords,
    Snapshots,
)

Call = Callable[[FullStorage, Household, str], Awaitable[Any]]
"""A method, called on what one household has, by an owner."""

READS: dict[str, Call] = {
    "assistants.get": lambda s, h, o: s.assistants.get(h.assistant.assistant_id, owner=o),
    "assistants.get_versions": lambda s, h, o: s.assistants.get_versions(
        h.assistant.assistant_id, owner=o
    ),
    "threads.get": lambda s, h, o: s.threads.get(h.thread.thread_id, owner=o),
    "threads.get_state": lambda s, h, o: s.threads.get_state(h.thread.thread_id, owner=o),
    "threads.get_state(checkpoint)": lambda s, h, o: s.threads.get_state(
        h.thread.thread_id, h.thread.checkpoint_id, owner=o
    ),
    "threads.get_history": lambda s, h, o: s.threads.get_history(h.thread.thread_id, owner=o),
    "runs.get": lambda s, h, o: s.runs.get(h.thread.thread_id, h.run.run_id, owner=o),
    "runs.list": lambda s, h, o: s.runs.list(h.thread.thread_id, owner=o),
    "runs.get_active": lambda s, h, o: s.runs.get_active(h.thread.thread_id, owner=o),
    "crons.get": lambda s, h, o: s.crons.get(h.cron.cron_id, owner=o),
}

WRITES: dict[str, Call] = {
    "assistants.update": lambda s, h, o: s.assistants.update(
        h.assistant.assistant_id, metadata={"x": 1}, owner=o
    ),
    "assistants.set_latest": lambda s, h, o: s.assistants.set_latest(
        h.assistant.assistant_id, 1, owner=o
    ),
    "assistants.delete": lambda s, h, o: s.assistants.delete(h.assistant.assistant_id, owner=o),
    "assistants.delete(threads)": lambda s, h, o: s.assistants.delete(
        h.assistant.assistant_id, delete_threads=True, owner=o
    ),
    "threads.update": lambda s, h, o: s.threads.update(
        h.thread.thread_id, metadata={"x": 1}, owner=o
    ),
    "threads.add_state": lambda s, h, o: s.threads.add_state(h.thread.thread_id, {"x": 1}, owner=o),
    "threads.delete": lambda s, h, o: s.threads.delete(h.thread.thread_id, owner=o),
    "runs.update": lambda s, h, o: s.runs.update(
        h.thread.thread_id, h.run.run_id, metadata={"x": 1}, owner=o
    ),
    "runs.update_status": lambda s, h, o: s.runs.update_status(
        h.thread.thread_id, h.run.run_id, "interrupted", owner=o
    ),
    "runs.delete": lambda s, h, o: s.runs.delete(h.thread.thread_id, h.run.run_id, owner=o),
    "runs.create": lambda s, h, o: s.runs.create(
        h.thread.thread_id, h.assistant.assistant_id, owner=o
    ),
    "runs.begin": lambda s, h, o: s.runs.begin(
        h.thread.thread_id, h.assistant.assistant_id, lease_s=60, owner=o
    ),
    "crons.update": lambda s, h, o: s.crons.update(h.cron.cron_id, enabled=False, owner=o),
    "crons.delete": lambda s, h, o: s.crons.delete(h.cron.cron_id, owner=o),
    "crons.create": lambda s, h, o: s.crons.create(
        h.assistant.assistant_id, schedule="* * * * *", thread_id=h.thread.thread_id, owner=o
    ),
}

LISTS: dict[str, Call] = {
    "assistants.search": lambda s, _, o: s.assistants.search(owner=o),
    "threads.search": lambda s, _, o: s.threads.search(owner=o),
    "threads.search(ids)": lambda s, h, o: s.threads.search(ids=[h.thread.thread_id], owner=o),
    "threads.search(values)": lambda s, h, o: s.threads.search(values={"of": h.owner}, owner=o),
    "runs.search": lambda s, _, o: s.runs.search(owner=o),
    "runs.search(thread)": lambda s, h, o: s.runs.search(thread_id=h.thread.thread_id, owner=o),
    "items.search_items": lambda s, _, o: s.items.search_items((), owner=o),
    "items.list_namespaces": lambda s, _, o: s.items.list_namespaces(owner=o),
    "crons.search": lambda s, _, o: s.crons.search(owner=o),
    "crons.search(assistant)": lambda s, h, o: s.crons.search(
        assistant_id=h.assistant.assistant_id, owner=o
    ),
}

COUNTS: dict[str, Call] = {
    "assistants.count": lambda s, _, o: s.assistants.count(owner=o),
    "threads.count": lambda s, _, o: s.threads.count(owner=o),
    "runs.count": lambda s, _, o: s.runs.count(owner=o),
    "items.count_items": lambda s, _, o: s.items.count_items((), owner=o),
    "crons.count": lambda s, _, o: s.crons.count(owner=o),
}

OWNER_CHANGES: dict[str, Call] = {
    "assistants.update": lambda s, h, o: s.assistants.update(
        h.assistant.assistant_id, metadata={"owner": o}, owner=h.owner
    ),
    "threads.update": lambda s, h, o: s.threads.update(
        h.thread.thread_id, metadata={"owner": o}, owner=h.owner
    ),
    "runs.update": lambda s, h, o: s.runs.update(
        h.thread.thread_id, h.run.run_id, metadata={"owner": o}, owner=h.owner
    ),
    "crons.update": lambda s, h, o: s.crons.update(
        h.cron.cron_id, metadata={"owner": o}, owner=h.owner
    ),
    "assistants.create": lambda s, h, o: s.assistants.create(
        "agent", metadata={"owner": o}, owner=h.owner
    ),
    "threads.create": lambda s, h, o: s.threads.create(metadata={"owner": o}, owner=h.owner),
    "runs.create": lambda s, h, o: s.runs.create(
        h.thread.thread_id, h.assistant.assistant_id, metadata={"owner": o}, owner=h.owner
    ),
    "crons.create": lambda s, h, o: s.crons.create(
        h.assistant.assistant_id, schedule="* * * * *", metadata={"owner": o}, owner=h.owner
    ),
}


async def answers(
    table: dict[str, Call], storage: FullStorage, household: Household, owner: str
) -> dict[str, Any]:
    """Call every method of a table; return what each answers, by its name."""
    return {name: await call(storage, household, owner) for name, call in table.items()}


class OwnershipContract(StorageContract):
    """What ownership promises: one's own, everybody's of system, and nothing of anybody else."""

    needs: ClassVar[frozenset[type]] = frozenset(
        {CronQueue, ItemKeeper, RunQueue, RunRecords, Snapshots}
    )

    @pytest.mark.invariant(6)
    async def test_own_rows_are_readable(self, storage: FullStorage) -> None:
        """An owner reads what is theirs, and the others' rows change nothing about it."""
        mine = await a_household(storage, ALICE)
        before = await answers(READS, storage, mine, ALICE)
        await a_household(storage, BOB)
        assert await answers(READS, storage, mine, ALICE) == before

    @pytest.mark.invariant(6)
    async def test_anothers_rows_do_not_exist(self, storage: FullStorage, probe: Probe) -> None:
        """Reading or writing another's row is NotFound, and changes nothing."""
        alices = await a_household(storage, ALICE)
        await a_household(storage, BOB)
        before = await everything(probe)
        for name, call in (READS | WRITES).items():
            for stranger in (BOB, SYSTEM):
                with pytest.raises(NotFound) as refused:
                    await call(storage, alices, stranger)
                assert ALICE not in str(refused.value), name
            assert await everything(probe) == before, name

    @pytest.mark.invariant(14)
    async def test_system_rows_are_readable(self, storage: FullStorage) -> None:
        """Everybody reads system's rows, as system does."""
        shared = await a_household(storage, SYSTEM)
        seen = await answers(READS, storage, shared, ALICE)
        assert seen == await answers(READS, storage, shared, SYSTEM)

    @pytest.mark.invariant(14)
    @pytest.mark.parametrize("call", WRITES.values(), ids=WRITES.keys())
    async def test_system_rows_are_not_writable(
        self, storage: FullStorage, probe: Probe, call: Call
    ) -> None:
        """Writing system's rows is forbidden, and changes nothing; system itself may."""
        shared = await a_household(storage, SYSTEM)
        before = await everything(probe)
        with pytest.raises(Forbidden):
            await call(storage, shared, ALICE)
        assert await everything(probe) == before
        await call(storage, shared, SYSTEM)
        assert await everything(probe) != before

    @pytest.mark.invariant(6)
    async def test_lists_hold_own_and_system_rows(self, storage: FullStorage) -> None:
        """A list shows one's own rows and system's, and to a stranger nobody's."""
        alices = await a_household(storage, ALICE)
        assert await answers(LISTS, storage, alices, BOB) == {name: [] for name in LISTS}
        before = await answers(LISTS, storage, alices, ALICE)
        assert {name: len(seen) for name, seen in before.items()} == dict.fromkeys(LISTS, 1)
        await a_household(storage, BOB)
        assert await answers(LISTS, storage, alices, ALICE) == before

    @pytest.mark.invariant(14)
    async def test_lists_show_system_rows(self, storage: FullStorage) -> None:
        """System's rows are in everybody's lists."""
        lists = {n: call for n, call in LISTS.items() if "(" not in n and "items" not in n}
        shared = await a_household(storage, SYSTEM)
        seen = await answers(lists, storage, shared, ALICE)
        assert {name: len(rows) for name, rows in seen.items()} == dict.fromkeys(lists, 1)
        assert seen == await answers(lists, storage, shared, SYSTEM)
        await a_household(storage, ALICE)
        more = await answers(lists, storage, shared, ALICE)
        assert {name: len(rows) for name, rows in more.items()} == dict.fromkeys(lists, 2)
        assert await answers(lists, storage, shared, SYSTEM) == seen

    @pytest.mark.invariant(37)
    async def test_counts_are_of_own_and_system_rows(self, storage: FullStorage) -> None:
        """A count counts what the list would show."""
        alices = await a_household(storage, ALICE)
        await a_household(storage, BOB)
        assert await answers(COUNTS, storage, alices, ALICE) == dict.fromkeys(COUNTS, 1)
        assert await answers(COUNTS, storage, alices, "carol") == dict.fromkeys(COUNTS, 0)
        await a_household(storage, SYSTEM)
        assert await answers(COUNTS, storage, alices, "carol") == dict.fromkeys(COUNTS, 1)

    @pytest.mark.invariant(12)
    async def test_metadata_owner_is_the_caller(self, storage: FullStorage, probe: Probe) -> None:
        """A metadata owner other than the caller is refused; the caller's own is welcome."""
        mine = await a_household(storage, ALICE)
        before = await everything(probe)
        for name, call in OWNER_CHANGES.items():
            for other in (BOB, SYSTEM, "", None, 1, [ALICE]):
                with pytest.raises(InvalidInput):
                    await call(storage, mine, other)  # type: ignore[arg-type]  # wrong on purpose
            assert await everything(probe) == before, name
        made = await answers(OWNER_CHANGES, storage, mine, ALICE)
        assert {row.metadata["owner"] for row in made.values()} == {ALICE}

    @pytest.mark.invariant(12)
    async def test_the_owner_survives_every_update(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """After updates of every kind each row is still its owner's, and says so."""
        mine = await a_household(storage, ALICE)
        for name, call in WRITES.items():
            if "delete" not in name:
                await call(storage, mine, ALICE)
        for table in ("assistants", "threads", "runs", "crons"):
            for row in await probe.rows(table):
                assert (row["owner"], row["metadata"]["owner"]) == (ALICE, ALICE), table
        assert await storage.assistants.count(owner=ALICE) == 1
        assert await storage.threads.count(owner=ALICE) == 1

    @pytest.mark.invariant(14)
    async def test_a_system_assistant_is_for_everybody(self, storage: FullStorage) -> None:
        """Everybody finds a system assistant by its name, and runs and schedules it."""
        shared = (await a_household(storage, SYSTEM)).assistant
        mine = await a_household(storage, ALICE)
        found = await storage.assistants.search(name="untitled", owner=ALICE)
        assert shared in found
        run = await storage.runs.create(mine.thread.thread_id, shared.assistant_id, owner=ALICE)
        assert run.metadata["owner"] == ALICE
        cron = await storage.crons.create(shared.assistant_id, schedule="* * * * *", owner=ALICE)
        assert cron.metadata["owner"] == ALICE

    @pytest.mark.invariant(6)
    async def test_anothers_assistant_cannot_be_run(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A run or a cron of another's assistant is NotFound, on a thread old or new."""
        alices = await a_household(storage, ALICE)
        bobs = await a_household(storage, BOB)
        before = await everything(probe)
        await all_raise(
            NotFound,
            storage.runs.create(alices.thread.thread_id, bobs.assistant.assistant_id, owner=ALICE),
            storage.runs.create(
                new_id(), bobs.assistant.assistant_id, if_not_exists="create", owner=ALICE
            ),
            storage.crons.create(bobs.assistant.assistant_id, schedule="* * * * *", owner=ALICE),
        )
        assert await everything(probe) == before

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize("owner", ["", None, 7, "a\x00b", "\ud800", "o" * 256], ids=ascii)
    async def test_an_owner_is_a_name(self, storage: FullStorage, probe: Probe, owner: Any) -> None:
        """An owner that is no text of 1 to 255 bytes is refused by every method."""
        mine = await a_household(storage, ALICE)
        lease = Lease(
            run_id=mine.run.run_id,
            thread_id=mine.thread.thread_id,
            token=new_id(),
            attempt=1,
            expires_at=mine.run.due_at,
        )
        before = await everything(probe)
        for call in (READS | WRITES | LISTS | COUNTS).values():
            with pytest.raises(InvalidInput):
                await call(storage, mine, owner)
        await all_raise(
            InvalidInput,
            storage.assistants.create("agent", owner=owner),
            storage.threads.create(owner=owner),
            storage.items.put_item(HOME, "k", {}, owner=owner),
            storage.items.get_item(HOME, "k", owner=owner),
            storage.items.delete_item(HOME, "k", owner=owner),
            storage.threads.copy(mine.thread.thread_id, owner=owner),
            storage.threads.prune([mine.thread.thread_id], owner=owner),
            storage.runs.heartbeat(lease, lease_s=1, owner=owner),
            storage.runs.finish(lease, "success", owner=owner),
            storage.runs.hand_back(lease, owner=owner),
        )
        assert await everything(probe) == before

    async def test_odd_owners_are_owners(self, storage: FullStorage) -> None:
        """Owners are compared exactly: case, spaces and forms of a letter keep them apart."""
        owners = ["ada", "Ada", "ada ", "é", "e\u0301", "%", "a_a", "'", "o" * 255, "🦉"]
        for number, owner in enumerate(owners):
            await storage.items.put_item(HOME, "k", {"n": number}, owner=owner)
            await storage.threads.create(metadata={"n": number}, owner=owner)
        for number, owner in enumerate(owners):
            item = await storage.items.get_item(HOME, "k", owner=owner)
            assert item is not None
            assert item.value == {"n": number}
            [thread] = await storage.threads.search(owner=owner)
            assert thread.metadata == {"n": number, "owner": owner}
