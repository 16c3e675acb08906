"""All active runs of an owner are found, though they are claimed and handed back meanwhile."""

from typing import Any

import pytest

from harness.models import SYSTEM, Lease, Run
from harness.server.routes.starting import active_of
from harness.storage.extensions import FullRuns, FullStorage

OWNER = "ada"


class Moving:
    """Runs that are claimed or handed back between two searches.

    Args:
        runs: Where they are.
        moves: What happens after each search, in turn.
    """

    def __init__(self, runs: FullRuns, *moves: str) -> None:
        self._runs, self._moves = runs, list(moves)
        self._lease: Lease | None = None

    async def search(self, **query: Any) -> list[Run]:
        """Search, and have something happen."""
        found = await self._runs.search(**query)
        if found or query["status"] == "running":
            await self._move(self._moves.pop(0) if self._moves else "nothing")
        return found

    async def _move(self, move: str) -> None:
        if move == "claim":
            claimed = await self._runs.claim(lease_s=60)
            assert claimed is not None
            self._lease = claimed.lease
        if move == "hand back":
            assert self._lease is not None
            await self._runs.hand_back(self._lease, owner=OWNER)


@pytest.mark.parametrize(
    "moves",
    [(), ("claim",), ("nothing", "claim"), ("claim", "hand back")],
    ids=lambda moves: ", then ".join(moves) or "nothing",
)
async def test_no_active_run_is_missed(memory_storage: FullStorage, moves: tuple[str, ...]) -> None:
    """Whatever happens to a run between two searches, it is found, and once."""
    thread = await memory_storage.threads.create(owner=OWNER)
    assistant = await memory_storage.assistants.create("agent", owner=OWNER)
    made = [
        await memory_storage.runs.create(
            thread.thread_id, assistant.assistant_id, owner=OWNER, multitask_strategy="enqueue"
        )
        for _ in range(3)
    ]
    runs: Any = Moving(memory_storage.runs, *moves)
    found = await active_of(runs, None, owner=OWNER)
    assert sorted(run.run_id for run in found) == sorted(run.run_id for run in made)


async def test_the_systems_runs_are_not_the_callers(memory_storage: FullStorage) -> None:
    """What everybody can read, and only the system stop, is not among a caller's active runs."""
    made = {}
    for owner in (OWNER, SYSTEM):
        thread = await memory_storage.threads.create(owner=owner)
        assistant = await memory_storage.assistants.create("agent", owner=owner)
        made[owner] = await memory_storage.runs.create(
            thread.thread_id, assistant.assistant_id, owner=owner
        )
    assert len(await memory_storage.runs.search(owner=OWNER)) == 2
    assert await active_of(memory_storage.runs, None, owner=OWNER) == [made[OWNER]]


async def test_a_run_that_was_running_is_missed_by_nobody(memory_storage: FullStorage) -> None:
    """One that is handed back before the running ones are looked for is found as pending."""
    thread = await memory_storage.threads.create(owner=OWNER)
    assistant = await memory_storage.assistants.create("agent", owner=OWNER)
    for _ in range(2):
        await memory_storage.runs.create(thread.thread_id, assistant.assistant_id, owner=OWNER)
    runs: Any = Moving(memory_storage.runs, "hand back")
    await runs._move("claim")
    assert len(await active_of(runs, None, owner=OWNER)) == 2
