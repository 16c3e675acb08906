"""Stops runs, wherever they are executed: cancels, rolls back, deletes.

What is executed here is stopped first, and ends its run itself. What another process executes is
ended in the database, which takes its lease away: nothing that it still does is written, and it is
notified (`harness.storage.leases`). So is what is executed here and does not stop.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final

from harness.agents.graph import Saver
from harness.errors import Conflict, Forbidden, HarnessError, NotFound
from harness.models import SYSTEM, TERMINAL, Run
from harness.persistence import forget_run
from harness.server.execution.broker import Broker
from harness.server.execution.execution import Execution, Stop
from harness.server.execution.executions import Executions
from harness.server.execution.heads import show_head
from harness.server.execution.outcomes import OnEnded, Outcome, is_temporary
from harness.server.execution.spawning import spawn
from harness.server.execution.turns import Turns
from harness.server.graphs import Graphs
from harness.storage.checks import MAX_LIMIT, check_id
from harness.storage.extensions import FullStorage

logger = logging.getLogger("harness.server")

PATIENCE_S: Final = 5.0
"""Given to what is executed here to stop by itself, before its run is ended without it."""
_FIRST_LOOK_S: Final = 0.02
_LONGEST_LOOK_S: Final = 0.25
"""Between two looks whether another process has stopped."""


class Stopper:
    """Stops runs of all owners.

    Args:
        storage: Where runs are.
        graphs: What they execute.
        checkpointer: What they execute it on.
        broker: Whose readers hear of the end.
        turns: Who may write to a thread.
        executions: What this process executes.
        on_ended: Called with each run that is ended without what executes it.
    """

    def __init__(
        self,
        storage: FullStorage,
        graphs: Graphs,
        checkpointer: Saver,
        *,
        broker: Broker,
        turns: Turns,
        executions: Executions,
        on_ended: OnEnded,
    ) -> None:
        self._storage, self._graphs, self._checkpointer = storage, graphs, checkpointer
        self._broker, self._turns, self._executions = broker, turns, executions
        self._on_ended = on_ended
        self._stopping: set[asyncio.Future[None]] = set()

    async def cancel(
        self, run: Run, *, rollback: bool = False, wait: bool = True, owner: str
    ) -> None:
        """Stop a run, wherever it is executed.

        Args:
            run: What to stop.
            rollback: Remove the run, with everything that it did to its thread.
            wait: Return when nothing of it is executed any more, but at the latest after
                `PATIENCE_S` where it is executed here, and where another process executes it when
                the lease would have ended. Otherwise return when it will certainly be stopped.
            owner: Whose it is.

        Raises:
            NotFound: It has ended, or there is none.
            Forbidden: It is owner `system`'s.
        """
        _check_own(run, owner)
        execution = self._executions.get(run.run_id)
        if execution is None:
            await self._end(run, rollback=rollback, wait=wait, owner=owner)
            return
        execution.stop(Stop.ROLLBACK if rollback else Stop.INTERRUPT)
        stopping = self._end_with(execution, rollback=rollback, owner=owner)
        if wait:
            await stopping
        else:
            spawn(stopping, self._stopping)

    def abandon(self, run: Run, *, owner: str) -> None:
        """Stop a run whose reader has left, if it has not ended."""

        async def cancel() -> None:
            try:
                await self.cancel(run, owner=owner)
            except NotFound:
                return
            except HarnessError as exc:
                logger.warning("run %s has no reader and goes on: %s", run.run_id, exc)

        spawn(cancel(), self._stopping)

    async def delete(self, run: Run, *, owner: str) -> None:
        """Remove a run with its checkpoints; what executes it is stopped.

        Raises:
            NotFound: There is none.
            Forbidden: It is owner `system`'s.
        """
        _check_own(run, owner)
        if run.status not in TERMINAL:
            try:
                # Without waiting for another process, which may be dead: it can write no more.
                is_here = run.run_id in self._executions
                await self.cancel(run, rollback=True, wait=is_here, owner=owner)
            except NotFound:  # it has ended meanwhile
                pass
            else:
                return
        await self.forget(run, owner=owner)

    async def forget(self, run: Run, *, owner: str) -> None:
        """Remove a run that has ended, and its checkpoints unless another is being executed.

        Raises:
            NotFound: There is none.
        """
        if await forget_run(self._checkpointer, run.thread_id, run.run_id, owner=owner):
            await show_head(self._storage, self._graphs, run, owner=owner)

    async def delete_thread(self, thread_id: str, *, owner: str) -> None:
        """Remove a thread with all that is of it; what executes it is stopped.

        Raises:
            InvalidInput: The id is no UUID.
            NotFound: There is none.
            Forbidden: It is owner `system`'s.
        """
        thread_id = check_id(thread_id, "thread")
        async with self._turns.of(thread_id):
            await self._storage.threads.delete(thread_id, owner=owner)
        await self._let_go([thread_id], owner=owner)

    async def delete_threads(self, thread_ids: Sequence[str], *, owner: str) -> int:
        """Remove those of the threads that are the owner's, all or none; return how many.

        What executes them is stopped.
        """
        own: list[str] = []
        for n in range(0, len(thread_ids), MAX_LIMIT):
            found = await self._storage.threads.search(
                ids=thread_ids[n : n + MAX_LIMIT], limit=MAX_LIMIT, owner=owner
            )
            own += [thread.thread_id for thread in found if thread.metadata["owner"] == owner]
        async with AsyncExitStack() as stack:
            for thread_id in sorted(own):
                await stack.enter_async_context(self._turns.of(thread_id))
            pruned = await self._storage.threads.prune(own, strategy="delete", owner=owner)
        await self._let_go(own, owner=owner)
        return pruned

    async def _end_with(self, execution: Execution, *, rollback: bool, owner: str) -> None:
        """Wait until what is executed here has ended its run; where it does not, end it.

        A run that has ended otherwise by then is rolled back after its end.
        """
        run = execution.run
        if not await execution.is_done_within(PATIENCE_S):
            logger.warning(
                "run %s does not stop within %g s and is ended without its code, which keeps its"
                " place and writes nothing any more",
                run.run_id,
                PATIENCE_S,
            )
        if execution.outcome is None:
            with suppress(NotFound):  # somebody else has ended it
                await self._end(run, rollback=rollback, wait=False, owner=owner)
                return
        if rollback and not execution.is_rolled_back:
            with suppress(NotFound):
                await self.forget(run, owner=owner)

    async def _end(self, run: Run, *, rollback: bool, wait: bool, owner: str) -> None:
        """End a run without what executes it, wherever that is.

        Raises:
            NotFound: It has ended, or there is none.
        """
        thread_id, run_id, runs = run.thread_id, run.run_id, self._storage.runs
        if rollback and not is_temporary(run):
            # In one step: once it has only ended, the next run goes on from what it wrote.
            has_changed = await forget_run(
                self._checkpointer, thread_id, run_id, active=True, keep=wait, owner=owner
            )
        else:
            has_changed = await self._interrupt(run, owner)
        execution = self._executions.get(run_id)
        if execution is not None:
            execution.stop(Stop.LOST)
        interrupted = Outcome(status="interrupted")
        self._broker.end(run_id, interrupted, owner=owner)
        self._on_ended(run, interrupted)
        if wait:
            await self._until_stopped(run_id)
        with suppress(NotFound):  # somebody else has removed it meanwhile
            if is_temporary(run):
                await runs.discard(thread_id, run_id, owner=owner)
                return
            if rollback and wait:
                await runs.delete(thread_id, run_id, owner=owner)
        if has_changed:
            await show_head(self._storage, self._graphs, run, owner=owner)

    async def _interrupt(self, run: Run, owner: str) -> bool:
        """End a run; return whether it had begun."""
        try:
            ended = await self._storage.runs.update_status(
                run.thread_id, run.run_id, "interrupted", owner=owner
            )
        except Conflict as exc:
            raise NotFound(f"run {run.run_id} has ended") from exc
        return ended.attempt > 0

    async def _until_stopped(self, run_id: str) -> None:
        """Wait until nothing of a run is executed any more, which has been ended."""
        look_s = _FIRST_LOOK_S
        while await self._storage.leases.is_stopping(run_id):
            await asyncio.sleep(look_s)
            look_s = min(2 * look_s, _LONGEST_LOOK_S)
        execution = self._executions.get(run_id)
        if execution is not None:
            await execution.is_done_within(PATIENCE_S)

    async def _let_go(self, thread_ids: Sequence[str], *, owner: str) -> None:
        """Stop what executes threads that are deleted, and let their followers know."""
        executions = [
            execution
            for thread_id in thread_ids
            for execution in self._executions.of_thread(thread_id, owner=owner)
        ]
        for execution in executions:
            execution.stop(Stop.LOST)
        stopped = await asyncio.gather(*(e.is_done_within(PATIENCE_S) for e in executions))
        for execution, has_stopped in zip(executions, stopped, strict=True):
            interrupted = Outcome(status="interrupted")
            self._broker.end(execution.run.run_id, interrupted, owner=execution.owner)
            if not has_stopped:
                logger.warning(
                    "run %s of a deleted thread does not stop; it keeps its place",
                    execution.run.run_id,
                )
        for thread_id in thread_ids:
            self._broker.end_thread(thread_id, owner=owner)


def _check_own(run: Run, owner: str) -> None:
    if run.metadata["owner"] != owner:  # everybody can read what is the system's
        raise Forbidden(f"run {run.run_id} belongs to owner {SYSTEM!r} and is read-only")
