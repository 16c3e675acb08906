"""Creating and putting in bulk: all or none, of one moment, in the order given."""

from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    HOME,
    a_thread,
    an_assistant,
    an_item,
    everything,
    new_id,
    settle,
)
from harness.contract.crons import the_next
from harness.errors import Conflict, Forbidden, InvalidInput, NotFound
from harness.models import SYSTEM
from harness.storage.extensions import BulkCreate, BulkPut, FullStorage


class BulkCreateContract(StorageContract):
    """What `create_many` promises."""

    needs: ClassVar[frozenset[type]] = frozenset({BulkCreate})

    async def test_assistants(self, storage: FullStorage) -> None:
        """A bulk create returns its rows in the order given, all of one moment."""
        rows = [{"graph_id": "agent", "name": f"n{number}"} for number in range(20)]
        created = await storage.assistants.create_many(rows, owner=ALICE)
        assert [row.name for row in created] == [row["name"] for row in rows]
        assert len({row.created_at for row in created}) == 1
        assert await storage.assistants.count(owner=ALICE) == 20
        versions = await storage.assistants.get_versions(created[0].assistant_id, owner=ALICE)
        assert [version.version for version in versions] == [1]
        assert await storage.assistants.create_many([], owner=ALICE) == []

    async def test_threads(self, storage: FullStorage) -> None:
        """A bulk create returns its rows in the order given, all of one moment."""
        rows = [{"metadata": {"n": number}} for number in range(20)]
        created = await storage.threads.create_many(rows, owner=ALICE)
        assert [row.metadata["n"] for row in created] == list(range(20))
        assert len({row.created_at for row in created}) == 1
        assert await storage.threads.count(owner=ALICE) == 20

    async def test_runs(self, storage: FullStorage) -> None:
        """A bulk create queues all its runs, in the order given, on threads old and new."""
        thread, assistant = await a_thread(storage), await an_assistant(storage)
        rows = [
            {
                "thread_id": thread.thread_id if number % 2 else new_id(),
                "assistant_id": assistant.assistant_id,
                "if_not_exists": "create",
                "metadata": {"n": number},
            }
            for number in range(10)
        ]
        created = await storage.runs.create_many(rows, owner=ALICE)
        assert [run.thread_id for run in created] == [row["thread_id"] for row in rows]
        assert [run.metadata["n"] for run in created] == list(range(10))
        assert len({run.created_at for run in created}) == 1
        assert await storage.threads.count(status="busy", owner=ALICE) == 6

    async def test_crons(self, storage: FullStorage) -> None:
        """A bulk create returns its rows in the order given, all of one moment."""
        assistant = await an_assistant(storage)
        rows = [
            {
                "assistant_id": assistant.assistant_id,
                "schedule": f"{number} * * * *",
                "metadata": {"n": number},
            }
            for number in range(20)
        ]
        created = await storage.crons.create_many(rows, owner=ALICE)
        assert [cron.metadata["n"] for cron in created] == list(range(20))
        assert len({cron.created_at for cron in created}) == 1
        assert [the_next(cron).minute for cron in created] == list(range(20))

    @pytest.mark.invariant(20)
    async def test_crons_are_all_or_none(self, storage: FullStorage, probe: Probe) -> None:
        """One bad row of a bulk keeps out all, whatever is wrong with it."""
        assistant = await an_assistant(storage)
        good = {"assistant_id": assistant.assistant_id, "schedule": "* * * * *"}
        taken = new_id()
        for bad, error in (
            ({**good, "schedule": "never"}, InvalidInput),
            ({**good, "schedule": "0 0 30 2 *"}, InvalidInput),
            ({**good, "assistant_id": new_id()}, NotFound),
            ({**good, "thread_id": new_id()}, NotFound),
            ({**good, "cron_id": taken}, Conflict),
        ):
            with pytest.raises(error):
                await storage.crons.create_many([{**good, "cron_id": taken}, bad], owner=ALICE)
        assert await probe.count("crons") == 0

    @pytest.mark.invariant(20)
    @pytest.mark.parametrize("kind", ["runs", "crons"])
    async def test_what_cannot_be_used_keeps_out_all(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """One row that refers to what is not there, or to somebody else's, keeps out all."""
        good = {"assistant_id": (await an_assistant(storage)).assistant_id}
        if kind == "crons":
            good["schedule"] = "* * * * *"
        else:
            good["thread_id"] = (await a_thread(storage)).thread_id
        theirs = {
            "assistant_id": (await an_assistant(storage, owner=BOB)).assistant_id,
            "thread_id": (await a_thread(storage, owner=BOB)).thread_id,
        }
        systems = (await a_thread(storage, owner=SYSTEM)).thread_id
        before = await everything(probe)
        for bad, error in (
            *(({name: bad}, NotFound) for name in theirs for bad in (new_id(), theirs[name])),
            ({"thread_id": systems}, Forbidden),
        ):
            for rows in ([good, {**good, **bad}], [{**good, **bad}, good]):
                with pytest.raises(error):
                    await _create_many(storage, kind, rows, owner=ALICE)
        assert await everything(probe) == before

    async def test_runs_stamp_their_threads(self, storage: FullStorage) -> None:
        """A thread bears the graph and the assistant of the last run that is queued on it."""
        first = await an_assistant(storage, graph_id="one")
        second = await an_assistant(storage, graph_id="two")
        thread, other = await a_thread(storage, metadata={"kept": 1}), await a_thread(storage)
        await storage.runs.create_many(
            [
                {"thread_id": on.thread_id, "assistant_id": by.assistant_id}
                for on, by in ((thread, first), (other, first), (thread, second))
            ],
            owner=ALICE,
        )
        for on, by in ((thread, second), (other, first)):
            stamped = await storage.threads.get(on.thread_id, owner=ALICE)
            assert stamped.status == "busy"
            assert stamped.metadata == {
                **on.metadata,
                "graph_id": by.graph_id,
                "assistant_id": by.assistant_id,
            }

    @pytest.mark.invariant(11)
    @pytest.mark.parametrize("kind", ["assistants", "threads", "runs"])
    async def test_a_taken_id_keeps_out_all(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """One taken id among many is a conflict for all, whoever holds it; so is one twice."""
        assistant = await an_assistant(storage)
        held = {ALICE: new_id(), BOB: new_id()}
        id_name, row = _BULK[kind]
        shared = {**row, "assistant_id": assistant.assistant_id} if kind == "runs" else row
        for owner, taken in held.items():
            of_owner = dict(shared)
            if kind == "runs":
                theirs = await an_assistant(storage, owner=owner)
                of_owner |= {"thread_id": new_id(), "assistant_id": theirs.assistant_id}
            await _create_many(storage, kind, [{**of_owner, id_name: taken}], owner=owner)
        before = await everything(probe)
        for taken in held.values():
            rows = [shared, {**shared, id_name: taken}, shared]
            with pytest.raises(Conflict):
                await _create_many(storage, kind, rows, owner=ALICE)
        twice = new_id()
        with pytest.raises(Conflict):
            await _create_many(storage, kind, [{**shared, id_name: twice}] * 2, owner=ALICE)
        assert await everything(probe) == before

    @pytest.mark.invariant(45)
    @pytest.mark.parametrize("kind", ["assistants", "threads"])
    async def test_do_nothing_within_a_bulk(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """Rows that are there already are returned as they are, and one id twice is one row."""
        id_name, row = _BULK[kind]
        old, new = new_id(), new_id()
        [first] = await _create_many(
            storage, kind, [{**row, id_name: old, "metadata": {"n": 1}}], owner=ALICE
        )
        again = {**row, "metadata": {"n": 2}, "if_exists": "do_nothing"}
        created = await _create_many(
            storage,
            kind,
            [{**again, id_name: old}, {**again, id_name: new}, {**again, id_name: new}],
            owner=ALICE,
        )
        assert created[0] == first
        assert created[1] == created[2]
        assert getattr(created[1], id_name) == new
        assert await probe.count(kind) == 2

    @pytest.mark.invariant(17)
    @pytest.mark.parametrize("kind", ["assistants", "threads", "runs"])
    async def test_a_bad_row_keeps_out_all(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """A row that is none, or holds what cannot be stored, is refused with all the others."""
        assistant = await an_assistant(storage)
        _, row = _BULK[kind]
        good = {**row, "assistant_id": assistant.assistant_id} if kind == "runs" else row
        before = await everything(probe)
        for bad in (
            {**good, "metadata": {"n": float("nan")}},
            {**good, "metadata": {"owner": BOB}},
            {**good, "colour": "red"},
            {**good, "owner": BOB},
            "no row",
            None,
        ):
            with pytest.raises(InvalidInput):
                await _create_many(storage, kind, [good, bad], owner=ALICE)
        for rows in ("text", {"a": 1}, None, 3):
            with pytest.raises(InvalidInput):
                await _create_many(storage, kind, rows, owner=ALICE)
        assert await everything(probe) == before

    @pytest.mark.invariant(27)
    async def test_reject_counts_the_runs_of_its_own_bulk(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Two `reject` runs on one thread in one bulk are a conflict, and none is queued."""
        thread, assistant = await a_thread(storage), await an_assistant(storage)
        row = {
            "thread_id": thread.thread_id,
            "assistant_id": assistant.assistant_id,
            "multitask_strategy": "reject",
        }
        with pytest.raises(Conflict):
            await storage.runs.create_many([row, row], owner=ALICE)
        assert await probe.count("runs") == 0

    @pytest.mark.invariant(42)
    async def test_concurrent_bulks_of_the_same_ids(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Bulks of the same ids in opposite orders at once: no deadlock, and one row an id."""
        ids = [new_id() for _ in range(20)]
        rows = [{"thread_id": one, "if_exists": "do_nothing"} for one in ids]
        bulks, _ = await settle(
            storage.threads.create_many(rows[::step], owner=ALICE) for step in (1, -1) * 5
        )
        for bulk, step in zip(bulks, (1, -1) * 5, strict=True):
            assert [thread.thread_id for thread in bulk] == ids[::step]
        assert await probe.count("threads") == 20


class BulkPutContract(StorageContract):
    """What `put_many` promises."""

    needs: ClassVar[frozenset[type]] = frozenset({BulkPut})

    @pytest.mark.invariant(18)
    async def test_put_many_overwrites_by_the_same_rule(self, storage: FullStorage) -> None:
        """A bulk put is many puts: new ones are new, old ones keep `created_at`."""
        before = await an_item(storage, "old")
        rows = [{"namespace": HOME, "key": key, "value": {"n": 2}} for key in ("old", "new")]
        await storage.items.put_many(rows, owner=ALICE)
        old = await storage.items.get_item(HOME, "old", owner=ALICE)
        new = await storage.items.get_item(HOME, "new", owner=ALICE)
        assert old is not None
        assert new is not None
        assert (old.value, old.created_at) == ({"n": 2}, before.created_at)
        assert old.updated_at == new.created_at == new.updated_at

    async def test_put_many_last_one_wins(self, storage: FullStorage, probe: Probe) -> None:
        """One address twice in a bulk is one item, with the last value."""
        rows = [{"namespace": HOME, "key": "k", "value": {"n": n}} for n in range(3)]
        await storage.items.put_many(rows, owner=ALICE)
        item = await storage.items.get_item(HOME, "k", owner=ALICE)
        assert item is not None
        assert item.value == {"n": 2}
        assert await probe.count("store_items") == 1
        await storage.items.put_many([], owner=ALICE)

    @pytest.mark.invariant(20)
    async def test_put_many_is_all_or_none(self, storage: FullStorage, probe: Probe) -> None:
        """One row of a bulk that is refused keeps out all."""
        good = {"namespace": HOME, "key": "k", "value": {}}
        for bad in (
            {"namespace": HOME, "key": "", "value": {}},
            {"namespace": ("langgraph",), "key": "k", "value": {}},
            {"namespace": HOME, "key": "k", "value": {"n": float("nan")}},
            {"namespace": HOME, "key": "k", "value": {}, "ttl": 0},
            {"namespace": HOME, "key": "k"},
            {"namespace": HOME, "key": "k", "value": {}, "colour": "red"},
            "no row",
        ):
            with pytest.raises(InvalidInput):
                await storage.items.put_many([good, bad], owner=ALICE)  # type: ignore[list-item]  # wrong on purpose
        assert await probe.count("store_items") == 0


_BULK: dict[str, tuple[str, dict[str, Any]]] = {
    "assistants": ("assistant_id", {"graph_id": "agent"}),
    "threads": ("thread_id", {}),
    "runs": ("run_id", {"thread_id": new_id(), "if_not_exists": "create"}),
}
"""For each resource the name of its id, and a row that needs nothing else."""


async def _create_many(storage: FullStorage, kind: str, rows: Any, *, owner: str) -> list[Any]:
    created: list[Any] = await getattr(storage, kind).create_many(rows, owner=owner)
    return created
