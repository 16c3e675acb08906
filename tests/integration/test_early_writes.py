"""Writes that a run stored before their checkpoint go when the run ends or loses its lease."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from harness.contract.builders import ALICE, a_run
from harness.contract.checkpointer.builders import Story, at
from harness.contract.queue import claimed
from harness.database import Database
from harness.models import ClaimedRun
from harness.persistence import PooledSaver, setup_langgraph
from harness.persistence.check import check_database
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from harness.storage.postgres.probe import PostgresProbe

COUNT = "SELECT count(*) AS n FROM checkpoint_writes WHERE thread_id = %(id)s"

End = Callable[[FullStorage, ClaimedRun], Awaitable[object]]


async def _claimed_anew(storage: FullStorage, claim: ClaimedRun) -> None:
    taken = await storage.runs.claim(lease_s=60)
    assert taken is not None
    assert taken.run.run_id == claim.run.run_id


ENDS: dict[str, End] = {
    "cancelled": lambda storage, claim: storage.runs.update_status(
        claim.run.thread_id, claim.run.run_id, "interrupted", owner=ALICE
    ),
    "failed": lambda storage, claim: storage.runs.finish(claim.lease, "error", owner=ALICE),
    "interrupted": lambda storage, claim: storage.runs.finish(
        claim.lease, "interrupted", owner=ALICE
    ),
    "timed out": lambda storage, claim: storage.runs.finish(claim.lease, "timeout", owner=ALICE),
    "ended a command": lambda storage, claim: storage.runs.finish(
        claim.lease, "success", owner=ALICE
    ),
    "handed back": lambda storage, claim: storage.runs.hand_back(claim.lease, owner=ALICE),
    "claimed by another": _claimed_anew,
    "deleted": lambda storage, claim: storage.runs.delete(
        claim.run.thread_id, claim.run.run_id, owner=ALICE
    ),
}


@pytest.mark.invariant(53)
@pytest.mark.parametrize("end", ENDS)
async def test_early_writes_go_with_the_lease(end: str, database: Database) -> None:
    """However a run loses its lease, only the writes of checkpoints that are there stay."""
    await setup_langgraph(database)
    storage, saver = LocalStorage(PostgresBackend(database)), PooledSaver(database)
    run = await a_run(storage, kwargs={"command": {"goto": "aside"}})
    claim = await claimed(storage)
    story = Story(saver, run.thread_id)
    await story.step({"c": 1})
    await story.write("kept")
    early = Story(saver, run.thread_id)
    early.head = at(run.thread_id, "", str(uuid4()))
    await early.write("early", task="one")
    early.head = at(run.thread_id, "child:1", str(uuid4()))
    await early.write("early", "too", task="two")
    if end == "claimed by another":
        await PostgresProbe(database.pool).age("runs", timedelta(hours=1), run_id=run.run_id)
    assert (await database.read(COUNT, {"id": run.thread_id}))[0]["n"] == 4
    await ENDS[end](storage, claim)
    assert (await database.read(COUNT, {"id": run.thread_id}))[0]["n"] == 1
    assert await check_database(database) == []
