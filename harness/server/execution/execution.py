"""Carries out one attempt of one run, under its lease."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from time import monotonic
from typing import Final, TypeVar

from langgraph.errors import GraphDrained, UnknownInterruptError
from langgraph.runtime import RunControl

from harness.agents.graph import Graph, Saver
from harness.config import ServerConfig
from harness.errors import (
    DatabaseUnavailable,
    HarnessError,
    LeaseLost,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Unreadable,
)
from harness.models import Assistant, ClaimedRun, RunStatus, ThreadHead, ThreadStatus
from harness.persistence import (
    Fence,
    Unwritten,
    WaitsForRoom,
    fenced,
    forget_run,
    forget_update,
    owner_scope,
)
from harness.server.execution.channel import Channel
from harness.server.execution.events import events_of
from harness.server.execution.heads import Head, head_of, is_head_of, show_head, show_what_fits
from harness.server.execution.identity import USER
from harness.server.execution.outcomes import (
    Outcome,
    error_of,
    error_text,
    is_temporary,
    node_of,
)
from harness.server.execution.requests import config_of, context_of, request_of
from harness.server.graphs import Graphs, on_fenced_saver
from harness.server.users import ANYBODY
from harness.storage.extensions import FullStorage

logger = logging.getLogger("harness.server")

LANGGRAPHS_LIMIT: Final = 10_007
"""Supersteps that LangGraph lets a graph take that says nothing of it."""
MAX_ATTEMPTS: Final = 10
"""A run that was begun so often and never ended ends its process each time; it fails instead."""
_PAUSE_S: Final = 0.2
_PASSING: Final = (DatabaseUnavailable, Overloaded, OutcomeUnknown)

ResultT = TypeVar("ResultT")


class Stop(IntEnum):
    """Why an execution was stopped from outside; a stronger reason is greater."""

    SHUTDOWN = 1
    INTERRUPT = 2
    ROLLBACK = 3
    LOST = 4


class Execution:
    """One attempt of a run: from its claim until it has ended or was handed back.

    Args:
        claimed: The run, and the lease under which it is written.
        storage: Where it is queued.
        graphs: Where its graph is.
        checkpointer: What the graph is executed on.
        channel: Who is told what it says.
        lease_s: For how long the lease is taken each time.
        claimed_at_s: When the claim began, by the monotonic clock.
        assistant: The run's, where it has been read already.
        limits: What it may take at most.
    """

    def __init__(
        self,
        claimed: ClaimedRun,
        storage: FullStorage,
        graphs: Graphs,
        checkpointer: Saver,
        channel: Channel,
        *,
        lease_s: float,
        claimed_at_s: float,
        assistant: Assistant | None = None,
        limits: ServerConfig,
    ) -> None:
        self.run = claimed.run
        self.owner = str(claimed.run.metadata["owner"])
        self.done = asyncio.Event()
        """Set when nothing is executed any more, and all is written down."""
        self.outcome: Outcome | None = None
        """How the run ended here; None while it has not, and where it goes on elsewhere."""
        self.is_rolled_back = False
        """Whether the run was removed here, with everything that it did."""
        self.lease, self._lease_s = claimed.lease, lease_s
        self._held_until_s = claimed_at_s + lease_s
        self._storage, self._graphs, self._checkpointer = storage, graphs, checkpointer
        self._channel = channel
        self._assistant = assistant
        self._limits = limits
        self._unwritten = Unwritten(limits.max_unwritten, limits.max_unwritten_bytes)
        self._control = RunControl()
        self._stopped: Stop | None = None
        self._work: asyncio.Task[None] | None = None
        self._graph: Graph | None = None
        self._loop = asyncio.get_running_loop()

    def stop(self, reason: Stop) -> None:
        """Have it stopped, wherever it is; the strongest reason until it is concluded counts."""
        is_first, self._stopped = self._stopped is None, max(reason, self._stopped or reason)
        if is_first:
            self._control.request_drain()  # a node that swallows the cancelling is the last one
            if self._work is not None:
                self._work.cancel()

    def drain(self) -> None:
        """Have it stop after the superstep that it is in, to be handed back."""
        self._control.request_drain()

    async def give_up(self) -> None:
        """Hand the run back though it is still executed: the process ends, and will not wait."""
        try:
            await self._storage.runs.hand_back(self.lease, owner=self.owner)
        except HarnessError as exc:
            logger.warning("run %s waits for the end of its lease: %s", self.run.run_id, exc)

    async def carry_out(self) -> Outcome | None:
        """Execute the run and end it; return how it ended, None if it was handed back.

        Raises:
            LeaseLost: It belongs to somebody else, or is gone, or cannot be written any more.
        """
        await self._hold()
        self._work = asyncio.create_task(self._execute())
        if self._stopped is not None:  # before it began
            self._work.cancel()
        await asyncio.wait({self._work})
        self.outcome = await self._conclude(self._work)
        return self.outcome

    async def is_done_within(self, seconds: float) -> bool:
        """Wait until nothing is executed any more, at most that long; return whether it is so."""
        try:
            async with asyncio.timeout(seconds):
                await self.done.wait()
        except TimeoutError:
            return False
        return True

    async def _execute(self) -> None:
        """Call the graph, and publish what it says."""
        run = self.run
        fence = Fence.of(self.lease, owner=self.owner, on_lost=self._tell_lost)
        with (
            owner_scope(self.owner),
            fenced(fence),
            self._unwritten.counting(),
        ):
            self._channel.publish("metadata", {"run_id": run.run_id, "attempt": run.attempt})
            await self._channel.room()
            if run.attempt > MAX_ATTEMPTS:
                raise HarnessError(f"the run was begun {MAX_ATTEMPTS} times and never ended")
            assistant = self._assistant or await self._storage.assistants.get(
                run.assistant_id, owner=self.owner
            )
            config = config_of(run, assistant, self.owner)
            limit = config.get("recursion_limit", LANGGRAPHS_LIMIT)
            if limit > self._limits.max_recursion_limit:  # stored under another, or by default
                config["recursion_limit"] = self._limits.max_recursion_limit
            config["callbacks"] = [WaitsForRoom(self._unwritten)]
            async with self._graphs.open(
                assistant.graph_id,
                config,
                access="threads.create_run",
                context=context_of(run, assistant),
                user=None if self.owner == ANYBODY else config["configurable"][USER],
            ) as opened:
                self._graph = graph = on_fenced_saver(opened, fence)
                continues = run.attempt > 1 and await is_head_of(self._checkpointer, run)
                request = request_of(run, assistant, graph, config, continues=continues)
                async for name, payload in events_of(graph, request, self._control):
                    self._channel.publish(name, payload)
                    await self._channel.room()

    async def _conclude(self, work: asyncio.Task[None]) -> Outcome | None:
        """Write down how the work ended; if that cannot be told, that it failed."""
        try:
            return await self._concluded(work)
        except LeaseLost:
            raise
        except Exception as exc:
            logger.exception("run %s cannot be ended as it should be", self.run.run_id)
            told = error_of(exc)
            self._channel.publish("error", told)
            await self._end("error", None, told)
            return Outcome(status="error", error=told)

    async def _concluded(self, work: asyncio.Task[None]) -> Outcome | None:
        if self._stopped is Stop.LOST:
            raise LeaseLost
        if self._stopped is Stop.ROLLBACK:
            return await self._roll_back()
        if self._stopped is Stop.INTERRUPT:
            return await self._finish("interrupted")
        error = None if work.cancelled() else work.exception()
        drained = isinstance(error, GraphDrained) and self._control.drain_requested
        # Whoever claims a run that a fault of the database has cut short goes on from its last
        # checkpoint, as after the death of its process.
        cut_short = isinstance(error, _PASSING)
        if self._stopped is Stop.SHUTDOWN or drained or cut_short:
            await self._write(lambda: self._storage.runs.hand_back(self.lease, owner=self.owner))
            return None
        if work.cancelled():  # by its own node: nobody here has done it
            return await self._finish("error", asyncio.CancelledError())
        if error is None:
            return await self._finish("success")
        return await self._finish("error", error)

    async def _finish(self, status: RunStatus, error: BaseException | None = None) -> Outcome:
        head = None
        await self._unwritten.settled()
        if self._graph is not None:
            try:
                head = await self._read_head(self._graph)
                if (
                    error is not None
                    and head.problem is not None
                    and self.run.kwargs.get("command")
                ):
                    await self._write(self._forget_update)
                    head = await self._read_head(self._graph)
            except Unreadable as exc:
                logger.warning("run %s left what cannot be shown: %s", self.run.run_id, exc)
        if self._stopped is Stop.ROLLBACK:  # meanwhile; nothing is awaited from here to the end
            return await self._roll_back()
        told = None
        if error is not None:
            told = error_of(error)
            fields = {"graph_id": self._graph and self._graph.name, "node": node_of(error)}
            logger.error("the run failed", exc_info=error, extra={"fields": fields})
            self._channel.publish("error", told)
        await self._end(status, head, told)
        return Outcome(status=status, values=None if head is None else head.answer, error=told)

    async def _end(
        self, status: RunStatus, head: Head | None, error: Mapping[str, str] | None
    ) -> None:
        """End the run, and have its thread show what it left behind, or go if it is temporary."""
        if is_temporary(self.run):
            await self._forget_thread()
            return
        becomes: ThreadStatus = "idle" if head is None else head.thread_status
        refused = error is not None and error["error"] == UnknownInterruptError.__name__

        async def end(shown: ThreadHead | None) -> None:
            await self._storage.runs.finish(
                self.lease,
                status,
                error=None if error is None else error_text(error),
                thread_status="error" if status == "error" and not refused else becomes,
                head=shown,
                owner=self.owner,
            )

        if head is None:
            await self._write(lambda: end(None))
        else:
            await show_what_fits(
                lambda shown: self._write(lambda: end(shown)),
                head.shown(None if refused else error),
            )

    async def _read_head(self, graph: Graph) -> Head:
        return await self._write(lambda: head_of(graph, self.run))

    async def _forget_update(self) -> None:
        """Remove what the run's command has left on the head that the graph cannot take in."""
        await forget_update(
            self._checkpointer,
            self.run.thread_id,
            self.run.run_id,
            lease=self.lease,
            owner=self.owner,
        )

    async def _roll_back(self) -> Outcome:
        """Remove the run with everything that it did."""
        run = self.run

        async def forget() -> None:
            try:
                await forget_run(
                    self._checkpointer,
                    run.thread_id,
                    run.run_id,
                    lease=self.lease,
                    owner=self.owner,
                )
            except NotFound:
                return
            await show_head(self._storage, self._graphs, run, owner=self.owner)

        await (self._forget_thread() if is_temporary(run) else self._write(forget))
        self.is_rolled_back = True
        return Outcome(status="interrupted")

    async def _forget_thread(self) -> None:
        """Remove the run with its thread.

        Raises:
            LeaseLost: Somebody else has, or may write it; a head that was read may be another's.
        """
        run, may_be_done = self.run, False

        async def discard() -> None:
            nonlocal may_be_done
            try:
                await self._storage.runs.discard(
                    run.thread_id, run.run_id, lease=self.lease, owner=self.owner
                )
            except OutcomeUnknown:
                may_be_done = True
                raise
            except NotFound as exc:
                if not may_be_done:
                    raise LeaseLost(f"run {run.run_id} is gone") from exc

        await self._write(discard)

    def _tell_lost(self) -> None:
        """Have the execution stopped whose write was refused, in whichever thread that was."""
        self._loop.call_soon_threadsafe(self.stop, Stop.LOST)

    async def _hold(self) -> None:
        """Return if the lease holds: the event loop may have stood still since the claim.

        Raises:
            LeaseLost: The run belongs to somebody else.
        """
        if monotonic() >= self._held_until_s:
            await self._storage.runs.heartbeat(self.lease, lease_s=self._lease_s, owner=self.owner)

    async def _write(self, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Carry out what may be repeated, while the database comes and goes and the lease holds.

        Raises:
            LeaseLost: It does not hold any more.
        """
        until = monotonic() + self._lease_s
        while True:
            try:
                return await write()
            except _PASSING as exc:
                logger.warning("run %s cannot be written: %s", self.run.run_id, exc)
                if monotonic() >= until:
                    raise LeaseLost from exc
            await asyncio.sleep(_PAUSE_S)
