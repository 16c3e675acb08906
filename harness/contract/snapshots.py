"""Snapshots: a thread's states, their order, and the history they make."""

from datetime import timedelta
from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_run,
    a_thread,
    all_raise,
    everything,
    new_id,
    settle,
)
from harness.errors import Conflict, Forbidden, InvalidInput, NotFound
from harness.models import Json, ThreadState
from harness.storage.extensions import FullStorage, Snapshots

EMPTY = ThreadState(
    values={},
    next=[],
    checkpoint=None,
    parent_checkpoint=None,
    metadata=None,
    created_at=None,
    tasks=[],
    interrupts=[],
)


def checkpoint_id(state: ThreadState) -> str:
    """Return the id of a state that is there."""
    assert state.checkpoint is not None
    return str(state.checkpoint["checkpoint_id"])


async def add_states(storage: FullStorage, thread_id: str, count: int) -> list[ThreadState]:
    """Add states with values `{"n": 0}`, `{"n": 1}`, … and return them, oldest first."""
    return [
        await storage.threads.add_state(
            thread_id, {"n": number}, metadata={"parity": number % 2}, owner=ALICE
        )
        for number in range(count)
    ]


class SnapshotContract(StorageContract):
    """What a single state promises."""

    needs: ClassVar[frozenset[type]] = frozenset({Snapshots})

    @pytest.mark.invariant(2)
    async def test_state_snapshots(self, storage: FullStorage) -> None:
        """A snapshot is read back whole: values, next, tasks, interrupts and metadata."""
        mine = await a_thread(storage)
        added = await storage.threads.add_state(
            mine.thread_id,
            {"messages": [{"role": "user", "content": "hi"}]},
            next=["agent", "tools"],
            tasks=[{"id": "t", "name": "agent", "interrupts": []}],
            interrupts=[{"value": "sure?", "id": "i"}],
            metadata={"step": 1, "source": "loop"},
            owner=ALICE,
        )
        assert added == await storage.threads.get_state(mine.thread_id, owner=ALICE)
        assert added.values == {"messages": [{"role": "user", "content": "hi"}]}
        assert added.next == ["agent", "tools"]
        assert added.tasks == [{"id": "t", "name": "agent", "interrupts": []}]
        assert added.interrupts == [{"value": "sure?", "id": "i"}]
        assert added.metadata == {"step": 1, "source": "loop"}
        assert added.parent_checkpoint is None
        assert added.checkpoint == {
            "thread_id": mine.thread_id,
            "checkpoint_ns": "",
            "checkpoint_id": checkpoint_id(added),
        }

    async def test_no_state_is_empty(self, storage: FullStorage) -> None:
        """A thread without states, and a checkpoint that there is not, have the empty state."""
        mine = await a_thread(storage)
        assert await storage.threads.get_state(mine.thread_id, owner=ALICE) == EMPTY
        await add_states(storage, mine.thread_id, 1)
        assert await storage.threads.get_state(mine.thread_id, new_id(), owner=ALICE) == EMPTY

    @pytest.mark.invariant(9)
    async def test_thread_shows_its_head(self, storage: FullStorage) -> None:
        """The thread's values, checkpoint and times follow each snapshot."""
        mine = await a_thread(storage)
        for state in await add_states(storage, mine.thread_id, 3):
            assert state.created_at is not None
        thread = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert thread.values == {"n": 2}
        assert thread.checkpoint_id == checkpoint_id(state)
        assert thread.updated_at == thread.state_updated_at == state.created_at
        assert thread.created_at == mine.created_at

    @pytest.mark.invariant(9)
    async def test_a_refused_snapshot_changes_neither(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A taken checkpoint id is a conflict that leaves states and thread as they were."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 2)
        before = await everything(probe)
        for state in states:
            with pytest.raises(Conflict):
                await storage.threads.add_state(
                    mine.thread_id, {"n": 9}, checkpoint_id=checkpoint_id(state), owner=ALICE
                )
        assert await everything(probe) == before

    @pytest.mark.invariant(9)
    async def test_concurrent_snapshots_agree_with_the_thread(self, storage: FullStorage) -> None:
        """Twenty snapshots at once make one chain, and the thread shows its head."""
        mine = await a_thread(storage)
        await settle(
            storage.threads.add_state(mine.thread_id, {"n": number}, owner=ALICE)
            for number in range(20)
        )
        history = await storage.threads.get_history(mine.thread_id, limit=100, owner=ALICE)
        assert sorted(state.values["n"] for state in history) == list(range(20))
        parents = [state.parent_checkpoint for state in history]
        assert parents == [*(state.checkpoint for state in history[1:]), None]
        thread = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert thread.values == history[0].values
        assert thread.checkpoint_id == checkpoint_id(history[0])

    @pytest.mark.invariant(10)
    async def test_callers_checkpoint_id(self, storage: FullStorage) -> None:
        """The caller's checkpoint id is kept, and two threads may have the same."""
        wanted = new_id()
        for _ in range(2):
            mine = await a_thread(storage)
            added = await storage.threads.add_state(
                mine.thread_id, {"n": 1}, checkpoint_id=wanted, owner=ALICE
            )
            assert checkpoint_id(added) == wanted
            assert await storage.threads.get_state(mine.thread_id, wanted, owner=ALICE) == added

    @pytest.mark.parametrize(
        ("pending", "status"), [((), "idle"), (("tools",), "interrupted")], ids=["end", "next"]
    )
    async def test_status_follows_next(
        self, storage: FullStorage, pending: tuple[str, ...], status: str
    ) -> None:
        """A state with something to do next leaves the thread interrupted, else idle."""
        mine = await a_thread(storage)
        await storage.threads.add_state(mine.thread_id, {}, next=("other",), owner=ALICE)
        await storage.threads.add_state(mine.thread_id, {}, next=pending, owner=ALICE)
        assert (await storage.threads.get(mine.thread_id, owner=ALICE)).status == status

    async def test_a_busy_thread_stays_busy(self, storage: FullStorage) -> None:
        """A snapshot does not end a run."""
        run = await a_run(storage)
        await storage.threads.add_state(run.thread_id, {}, next=["x"], owner=ALICE)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "busy"

    @pytest.mark.invariant(23)
    async def test_state_of_no_thread(self, storage: FullStorage, probe: Probe) -> None:
        """State and history of a thread that is not there are NotFound and make none."""
        await all_raise(
            NotFound,
            storage.threads.get_state(new_id(), owner=ALICE),
            storage.threads.get_history(new_id(), owner=ALICE),
            storage.threads.add_state(new_id(), {}, owner=ALICE),
        )
        assert await probe.count("threads") == await probe.count("thread_states") == 0

    @pytest.mark.invariant(6)
    async def test_another_owner_reads_and_writes_no_state(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """State, one checkpoint, history and snapshots of another's thread are NotFound."""
        mine = await a_thread(storage)
        [state] = await add_states(storage, mine.thread_id, 1)
        before = await everything(probe)
        await all_raise(
            NotFound,
            storage.threads.get_state(mine.thread_id, owner=BOB),
            storage.threads.get_state(mine.thread_id, checkpoint_id(state), owner=BOB),
            storage.threads.get_history(mine.thread_id, owner=BOB),
            storage.threads.get_history(mine.thread_id, before=new_id(), owner=BOB),
            storage.threads.add_state(mine.thread_id, {"n": 9}, owner=BOB),
            storage.threads.copy(mine.thread_id, owner=BOB),
        )
        assert await storage.threads.prune([mine.thread_id], owner=BOB) == 0
        assert await storage.threads.search(values={"n": 0}, owner=BOB) == []
        assert await everything(probe) == before

    @pytest.mark.invariant(6)
    async def test_system_state_is_read_only(self, storage: FullStorage) -> None:
        """State of a system thread is readable by all and writable by none but system."""
        shared = await a_thread(storage, owner="system")
        state = await storage.threads.add_state(shared.thread_id, {"n": 1}, owner="system")
        assert await storage.threads.get_state(shared.thread_id, owner=ALICE) == state
        assert await storage.threads.get_history(shared.thread_id, owner=ALICE) == [state]
        with pytest.raises(Forbidden):
            await storage.threads.add_state(shared.thread_id, {"n": 2}, owner=ALICE)


class HistoryContract(StorageContract):
    """What a history promises: each state as it was, newest first, cut where asked."""

    needs: ClassVar[frozenset[type]] = frozenset({Snapshots})

    @pytest.mark.invariant(2)
    async def test_history(self, storage: FullStorage) -> None:
        """History is every state as it was added, newest first, each the parent of the next."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 5)
        history = await storage.threads.get_history(mine.thread_id, owner=ALICE)
        assert history == states[::-1]
        assert [state.values for state in history] == [{"n": n} for n in (4, 3, 2, 1, 0)]
        parents = [state.parent_checkpoint for state in history]
        assert parents == [*(state.checkpoint for state in history[1:]), None]

    @pytest.mark.invariant(2)
    async def test_history_does_not_share_values(self, storage: FullStorage) -> None:
        """One dict that grows from turn to turn is kept as it was at each turn."""
        mine = await a_thread(storage)
        messages: list[Json] = []
        values: Json = {"messages": messages}
        for number in range(4):
            messages.append({"n": number})
            await storage.threads.add_state(mine.thread_id, values, owner=ALICE)
        history = await storage.threads.get_history(mine.thread_id, owner=ALICE)
        assert [len(state.values["messages"]) for state in history] == [4, 3, 2, 1]

    @pytest.mark.invariant(2)
    async def test_every_state_is_read_by_its_checkpoint(self, storage: FullStorage) -> None:
        """An older checkpoint's state is what it was, also after newer ones."""
        mine = await a_thread(storage)
        for state in await add_states(storage, mine.thread_id, 4):
            read = await storage.threads.get_state(
                mine.thread_id, checkpoint_id(state), owner=ALICE
            )
            assert read == state

    @pytest.mark.invariant(4)
    async def test_checkpoint_ids_are_stable(self, storage: FullStorage) -> None:
        """Head, history and thread name the same checkpoint, at every reading."""
        mine = await a_thread(storage)
        head = (await add_states(storage, mine.thread_id, 3))[-1]
        for _ in range(2):
            state = await storage.threads.get_state(mine.thread_id, owner=ALICE)
            [first, *_] = await storage.threads.get_history(mine.thread_id, owner=ALICE)
            thread = await storage.threads.get(mine.thread_id, owner=ALICE)
            assert checkpoint_id(state) == checkpoint_id(first) == checkpoint_id(head)
            assert thread.checkpoint_id == checkpoint_id(head)

    @pytest.mark.invariant(4)
    async def test_before(self, storage: FullStorage) -> None:
        """History before a checkpoint is what came earlier, the checkpoint not included."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 4)
        for index, state in enumerate(states):
            earlier = await storage.threads.get_history(
                mine.thread_id, before=checkpoint_id(state), owner=ALICE
            )
            assert earlier == states[:index][::-1]

    @pytest.mark.invariant(5)
    async def test_unknown_before(self, storage: FullStorage) -> None:
        """Nothing comes before a checkpoint that the thread does not have."""
        mine, other = await a_thread(storage), await a_thread(storage)
        await add_states(storage, mine.thread_id, 2)
        [foreign] = await add_states(storage, other.thread_id, 1)
        for before in (new_id(), checkpoint_id(foreign)):
            history = await storage.threads.get_history(mine.thread_id, before=before, owner=ALICE)
            assert history == []

    @pytest.mark.invariant(5)
    async def test_limit(self, storage: FullStorage) -> None:
        """The limit is honoured, alone and before a checkpoint; ten is the default."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 12)
        get_history = storage.threads.get_history
        assert await get_history(mine.thread_id, owner=ALICE) == states[:1:-1]
        for limit in (1, 5, 12, 1_000):
            history = await get_history(mine.thread_id, limit=limit, owner=ALICE)
            assert history == states[::-1][:limit]
        history = await get_history(
            mine.thread_id, limit=2, before=checkpoint_id(states[5]), owner=ALICE
        )
        assert history == [states[4], states[3]]

    @pytest.mark.invariant(5)
    @pytest.mark.parametrize("limit", [0, -1, 1_001, True, 2.0, "3", None])
    async def test_bad_limit(self, storage: FullStorage, limit: object) -> None:
        """A limit is a whole number from 1 to 1,000."""
        mine = await a_thread(storage)
        with pytest.raises(InvalidInput):
            await storage.threads.get_history(mine.thread_id, limit=limit, owner=ALICE)  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.invariant(5)
    async def test_history_by_metadata(self, storage: FullStorage) -> None:
        """A metadata condition comes before the limit, and together with `before`."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 6)
        odd = await storage.threads.get_history(
            mine.thread_id, metadata={"parity": 1}, limit=2, owner=ALICE
        )
        assert odd == [states[5], states[3]]
        even = await storage.threads.get_history(
            mine.thread_id,
            metadata={"parity": 0},
            before=checkpoint_id(states[4]),
            owner=ALICE,
        )
        assert even == [states[2], states[0]]

    @pytest.mark.invariant(4)
    async def test_order_is_that_of_adding(self, storage: FullStorage, probe: Probe) -> None:
        """Neither ids nor equal times decide which state is newer."""
        mine = await a_thread(storage)
        ids = sorted((new_id() for _ in range(6)), reverse=True)
        for number, chosen in enumerate(ids):
            await storage.threads.add_state(
                mine.thread_id, {"n": number}, checkpoint_id=chosen, owner=ALICE
            )
        await probe.age("thread_states", timedelta(hours=1), checkpoint_id=ids[-1])
        history = await storage.threads.get_history(mine.thread_id, owner=ALICE)
        assert [checkpoint_id(state) for state in history] == ids[::-1]
        head = await storage.threads.get_state(mine.thread_id, owner=ALICE)
        assert checkpoint_id(head) == ids[-1]
        earlier = await storage.threads.get_history(mine.thread_id, before=ids[3], owner=ALICE)
        assert [checkpoint_id(state) for state in earlier] == ids[2::-1]
