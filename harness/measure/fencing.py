"""What the fence around a run costs: a saver's calls with one, beside the same calls without."""

from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Final

from harness.database import Database
from harness.measure.conversations import Planted, PostgresThreads
from harness.measure.paired import Samples, Subject, alternate, timed
from harness.measure.saver_workloads import SaverCase, one_by_one
from harness.measure.turns import Turn
from harness.persistence import Fence, fenced
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend

FENCES: Final = ("unfenced", "fenced")
_OWNER: Final = "bench"
_LEASE_S: Final = 3_600.0


class RunThreads:
    """Threads of one turn each that a run goes on with (a `harness.measure.conversations.Threads`).

    Args:
        threads: The threads' checkpoints.
        assistant_id: Whose runs.
    """

    def __init__(self, threads: PostgresThreads, assistant_id: str) -> None:
        self.turn = threads.turn
        self.fences: list[Fence] = []
        """Of the threads that were planted last, the leases of their runs."""
        self._threads, self._assistant_id = threads, assistant_id
        self._runs = LocalStorage(PostgresBackend(threads.database)).runs

    async def plant(self) -> Planted:
        """Plant new ones, each with a run that has begun."""
        planted = await self._threads.plant()
        self.fences = []
        for thread_id in planted.ids:
            _, lease = await self._runs.begin(
                thread_id,
                self._assistant_id,
                lease_s=_LEASE_S,
                if_not_exists="create",
                owner=_OWNER,
            )
            if lease is not None:
                self.fences.append(Fence.of(lease, owner=_OWNER))
        return planted

    async def rows(self) -> Counter[str]:
        """Count the checkpoints' rows."""
        return await self._threads.rows()


class FencedCase(SaverCase):
    """One call of a saver, repeated on one thread, with or without the fence of its run."""

    def __init__(self, threads: RunThreads, call: str, repeats: int, *, is_fenced: bool) -> None:
        super().__init__(threads, one_by_one(threads.turn, call, repeats))
        self._runs, self._is_fenced = threads, is_fenced

    async def run(self) -> None:
        """Do the work."""
        with ExitStack() as stack:
            if self._is_fenced:
                [fence] = self._runs.fences
                stack.enter_context(fenced(fence))
            await super().run()


async def measure_fence(
    database: Database, turn: Turn, call: str, *, repeats: int, rounds: int
) -> dict[str, Samples]:
    """Return seconds that a saver's call takes without a fence and with one, in pairs.

    Both sides work on threads that have a run. Set-up and counting are not in the time.

    Args:
        database: One that `harness.measure.conversations.prepare` has prepared.
        turn: What is stored.
        call: `put` or `writes`.
        repeats: Calls of each sample.
        rounds: Samples of each side.

    Raises:
        ResultsError: A call did not do its work.
    """
    storage = LocalStorage(PostgresBackend(database))
    assistant = await storage.assistants.create("bench", owner=_OWNER)
    samples = {name: Samples() for name in FENCES}
    subjects = [
        Subject(
            name,
            partial(
                timed,
                FencedCase(
                    RunThreads(PostgresThreads(database, turn, "ours", 1), assistant.assistant_id),
                    call,
                    repeats,
                    is_fenced=name == "fenced",
                ),
            ),
        )
        for name in FENCES
    ]
    await alternate(subjects, [*samples.values()], rounds=rounds, warm_up=20)
    return samples
