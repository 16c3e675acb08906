"""Identity: the caller's ids, ids that are taken, and ids that are none."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_cron,
    a_run,
    a_thread,
    all_raise,
    an_assistant,
    everything,
    new_id,
    settle,
)
from harness.errors import Conflict, InvalidInput
from harness.storage.extensions import CronQueue, FullStorage, RunRecords, Snapshots

Create = Callable[..., Awaitable[Any]]

CREATES: dict[str, tuple[Create, str]] = {
    "assistants": (an_assistant, "assistant_id"),
    "threads": (a_thread, "thread_id"),
    "runs": (a_run, "run_id"),
    "crons": (a_cron, "cron_id"),
}
"""For each resource how to create one, and the name of its id."""

IDEMPOTENT = ("assistants", "threads")
"""The resources whose create takes `if_exists`."""

NOT_IDS = (
    "",
    "abc",
    "12345678123456781234567812345678",
    "{12345678-1234-5678-1234-567812345678}",
    "urn:uuid:12345678-1234-5678-1234-567812345678",
    "12345678-1234-5678-1234-56781234567g",
    "12345678-1234-5678-1234-567812345678\n",
    " 12345678-1234-5678-1234-567812345678",
    "\u0661" * 36,
    7,
    b"12345678-1234-5678-1234-567812345678",
    ["12345678-1234-5678-1234-567812345678"],
)

kinds = pytest.mark.parametrize("kind", CREATES)
idempotent_kinds = pytest.mark.parametrize("kind", IDEMPOTENT)


class IdentityContract(StorageContract):
    """What ids promise: the caller's are honoured, and what has one keeps it."""

    needs: ClassVar[frozenset[type]] = frozenset({CronQueue, RunRecords, Snapshots})

    @pytest.mark.invariant(10)
    @kinds
    async def test_the_callers_id_is_honoured(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """A row is created under the id that the caller chose."""
        create, id_name = CREATES[kind]
        wanted = new_id()
        created = await create(storage, **{id_name: wanted})
        if kind == "threads":
            assert await storage.threads.get(wanted, owner=ALICE) == created
        assert getattr(created, id_name) == wanted
        assert await probe.count(kind, **{id_name: wanted}) == 1

    @pytest.mark.invariant(10)
    @kinds
    async def test_ids_are_canonical(self, storage: FullStorage, kind: str) -> None:
        """An id in capitals is the same id, and comes back in small letters."""
        create, id_name = CREATES[kind]
        wanted = new_id()
        created = await create(storage, **{id_name: wanted.upper()})
        assert getattr(created, id_name) == wanted
        with pytest.raises(Conflict):
            await create(storage, **{id_name: wanted})

    @kinds
    async def test_made_ids_differ(self, storage: FullStorage, kind: str) -> None:
        """Ids that the caller did not give are all different."""
        create, id_name = CREATES[kind]
        made = {getattr(await create(storage), id_name) for _ in range(5)}
        assert len(made) == 5

    @pytest.mark.invariant(11)
    @pytest.mark.parametrize("holder", [ALICE, BOB, "system"])
    @kinds
    async def test_a_taken_id_is_a_conflict(
        self, storage: FullStorage, probe: Probe, kind: str, holder: str
    ) -> None:
        """Creating under an id that anybody holds is a conflict, and leaves the row alone."""
        create, id_name = CREATES[kind]
        taken = getattr(await create(storage, owner=holder, metadata={"n": 1}), id_name)
        [before] = await probe.rows(kind, **{id_name: taken})
        with pytest.raises(Conflict) as refused:
            await create(storage, owner=ALICE, metadata={"n": 2}, **{id_name: taken})
        assert holder not in str(refused.value)
        assert await probe.rows(kind, **{id_name: taken}) == [before]

    @pytest.mark.invariant(11)
    async def test_a_conflicting_run_makes_no_thread(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A run whose id is taken leaves no thread that was made for it, and none busy."""
        run = await a_run(storage)
        idle = await a_thread(storage)
        before = await everything(probe)
        for thread_id in (new_id(), idle.thread_id):
            with pytest.raises(Conflict):
                await a_run(
                    storage,
                    thread_id=thread_id,
                    assistant_id=run.assistant_id,
                    run_id=run.run_id,
                    if_not_exists="create",
                )
        assert await everything(probe) == before

    @pytest.mark.invariant(11)
    async def test_a_run_on_anothers_thread_id(self, storage: FullStorage, probe: Probe) -> None:
        """`create` on a thread id that another holds is a conflict: the thread cannot be made."""
        bobs = await a_thread(storage, owner=BOB)
        assistant = await an_assistant(storage)
        before = await everything(probe)
        with pytest.raises(Conflict):
            await a_run(
                storage,
                thread_id=bobs.thread_id,
                assistant_id=assistant.assistant_id,
                if_not_exists="create",
            )
        assert await everything(probe) == before

    @pytest.mark.invariant(45)
    @idempotent_kinds
    async def test_do_nothing_returns_the_row_that_is_there(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """With `do_nothing` one's own row comes back unchanged; a free id is created."""
        create, id_name = CREATES[kind]
        wanted = new_id()
        given = {id_name: wanted, "if_exists": "do_nothing"}
        first = await create(storage, metadata={"n": 1}, **given)
        before = await everything(probe)
        assert await create(storage, metadata={"n": 2}, **given) == first
        assert await everything(probe) == before

    @pytest.mark.invariant(11)
    @pytest.mark.parametrize("holder", [BOB, "system"])
    @idempotent_kinds
    async def test_do_nothing_on_anothers_row_is_a_conflict(
        self, storage: FullStorage, probe: Probe, kind: str, holder: str
    ) -> None:
        """`do_nothing` never hands out another's row."""
        create, id_name = CREATES[kind]
        taken = getattr(await create(storage, owner=holder), id_name)
        before = await everything(probe)
        with pytest.raises(Conflict):
            await create(storage, owner=ALICE, if_exists="do_nothing", **{id_name: taken})
        assert await everything(probe) == before

    @pytest.mark.invariant(45)
    @idempotent_kinds
    async def test_concurrent_do_nothing(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """Twenty identical creates at once all return the one row."""
        create, id_name = CREATES[kind]
        given = {id_name: new_id(), "if_exists": "do_nothing", "metadata": {"n": 1}}
        created, _ = await settle(create(storage, **given) for _ in range(20))
        assert all(one == created[0] for one in created)
        assert await probe.count(kind) == 1

    @pytest.mark.invariant(11)
    @kinds
    async def test_of_concurrent_creates_one_wins(
        self, storage: FullStorage, probe: Probe, kind: str
    ) -> None:
        """Of creates of one id by several owners one is stored, the others are conflicts."""
        create, id_name = CREATES[kind]
        wanted = new_id()
        won, refused = await settle(
            (
                create(storage, owner=owner, **{id_name: wanted})
                for owner in (ALICE, BOB, "carol") * 4
            ),
            expect=Conflict,
        )
        assert (len(won), len(refused)) == (1, 11)
        [row] = await probe.rows(kind, **{id_name: wanted})
        assert row["metadata"] == won[0].metadata

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize("bad", NOT_IDS, ids=ascii)
    async def test_what_is_no_id(self, storage: FullStorage, probe: Probe, bad: Any) -> None:
        """What does not write a UUID is refused wherever an id is asked for."""
        before = await everything(probe)
        good = new_id()
        await all_raise(
            InvalidInput,
            storage.assistants.create("agent", assistant_id=bad, owner=ALICE),
            storage.assistants.get(bad, owner=ALICE),
            storage.assistants.update(bad, owner=ALICE),
            storage.assistants.delete(bad, owner=ALICE),
            storage.assistants.get_versions(bad, owner=ALICE),
            storage.assistants.set_latest(bad, 1, owner=ALICE),
            storage.threads.create(thread_id=bad, owner=ALICE),
            storage.threads.get(bad, owner=ALICE),
            storage.threads.update(bad, metadata={}, owner=ALICE),
            storage.threads.delete(bad, owner=ALICE),
            storage.threads.copy(bad, owner=ALICE),
            storage.threads.prune([bad], owner=ALICE),
            storage.threads.search(ids=[bad], owner=ALICE),
            storage.threads.get_state(bad, owner=ALICE),
            storage.threads.get_state(good, bad, owner=ALICE),
            storage.threads.get_history(bad, owner=ALICE),
            storage.threads.get_history(good, before=bad, owner=ALICE),
            storage.threads.add_state(bad, {}, owner=ALICE),
            storage.threads.add_state(good, {}, checkpoint_id=bad, owner=ALICE),
            storage.runs.create(bad, good, owner=ALICE),
            storage.runs.create(good, bad, owner=ALICE),
            storage.runs.create(good, good, run_id=bad, owner=ALICE),
            storage.runs.get(bad, good, owner=ALICE),
            storage.runs.get(good, bad, owner=ALICE),
            storage.runs.list(bad, owner=ALICE),
            storage.runs.search(thread_id=bad, owner=ALICE),
            storage.runs.search(assistant_id=bad, owner=ALICE),
            storage.runs.get_active(bad, owner=ALICE),
            storage.runs.update(good, bad, metadata={}, owner=ALICE),
            storage.runs.update_status(good, bad, "error", owner=ALICE),
            storage.runs.delete(good, bad, owner=ALICE),
            storage.crons.create(bad, schedule="* * * * *", owner=ALICE),
            storage.crons.create(good, schedule="* * * * *", thread_id=bad, owner=ALICE),
            storage.crons.create(good, schedule="* * * * *", cron_id=bad, owner=ALICE),
            storage.crons.get(bad, owner=ALICE),
            storage.crons.update(bad, owner=ALICE),
            storage.crons.delete(bad, owner=ALICE),
            storage.crons.search(thread_id=bad, owner=ALICE),
        )
        assert await everything(probe) == before
