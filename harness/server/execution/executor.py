"""Claims runs while there are any, and executes as many at a time as it may."""

import asyncio
import logging
import math
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

from harness.agents.graph import Saver
from harness.config import ServerConfig
from harness.errors import HarnessError, LeaseLost, NotFound
from harness.models import TERMINAL, Assistant, ClaimedRun, Lease, Run
from harness.server.execution.broker import Broker
from harness.server.execution.channel import Channel
from harness.server.execution.execution import Execution, Stop
from harness.server.execution.executions import Arrival, Executions
from harness.server.execution.followers import Followers
from harness.server.execution.outcomes import OnEnded, Outcome, outcome_of
from harness.server.execution.spawning import spawn
from harness.server.execution.stopping import Stopper
from harness.server.execution.turns import Turns
from harness.server.graphs import Graphs
from harness.server.logs import about
from harness.server.metrics import Metrics
from harness.server.shares import Shares
from harness.storage.extensions import FullStorage

logger = logging.getLogger("harness.server")

POLL_S: Final = 1.0
"""Between two looks for runs that came due, lost their lease, or were made by another process."""
_DRAINING: Final = 0.5
"""Part of the grace period in which runs may get to the end of their superstep."""
_GIVING_UP_S: Final = 1.0
"""Given beyond the grace period to hand back what will not stop."""


class Executor:
    """Executes runs of all owners under leases.

    Any number of processes may execute runs of one storage: each claims what it can.

    Args:
        storage: Where runs are queued.
        graphs: What they execute.
        checkpointer: What they execute it on.
        config: How many at a time, and how long a lease lasts.
        metrics: Counts them.
        on_ended: Called with each run whose end this process has written, and how it ended.
        poll_s: Seconds between two looks for runs, and for the end of runs, that others changed.
    """

    def __init__(
        self,
        storage: FullStorage,
        graphs: Graphs,
        checkpointer: Saver,
        config: ServerConfig,
        metrics: Metrics,
        *,
        on_ended: OnEnded = lambda _run, _outcome: None,
        poll_s: float = POLL_S,
    ) -> None:
        self.broker = Broker(
            max_bytes=config.max_event_bytes,
            max_bytes_of_owner=config.share_of(config.max_event_bytes),
            max_threads_of_owner=config.share_of(config.max_streams),
        )
        self.followers = Followers(storage, self.broker)
        self.turns = Turns()
        self._executions = Executions()
        self.stopper = Stopper(
            storage,
            graphs,
            checkpointer,
            broker=self.broker,
            turns=self.turns,
            executions=self._executions,
            on_ended=on_ended,
        )
        self._storage, self._graphs, self._checkpointer = storage, graphs, checkpointer
        self._config, self._metrics = config, metrics
        self._on_ended = on_ended
        self._poll_s = poll_s
        self._free = asyncio.Semaphore(config.concurrency)
        self._places = Shares(config.concurrency, config.part_of_owner)
        self._woken = asyncio.Event()
        self._owed = math.inf
        self._ending = False
        self._executing: set[asyncio.Future[None]] = set()
        self._watching: set[asyncio.Future[None]] = set()
        self._claiming: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to claim, unless it may execute none."""
        if self._config.concurrency:
            keeper = self._storage.leases.keeper(
                lease_s=self._config.lease_s, on_lost=self._executions.lose
            )
            self._executions.keep_with(keeper)
            self._claiming = asyncio.create_task(self._claim_all(), name="claims runs")

    def wake(self, after_s: float = 0, *, runs: float = math.inf) -> None:
        """Say that there are runs that may run now, or in so many seconds.

        Args:
            after_s: When.
            runs: How many, where that is known: no more claims are sent than that. By default they
                are, until none finds a run.
        """
        if after_s > 0:
            asyncio.get_running_loop().call_later(after_s, partial(self.wake, runs=runs))
        else:
            self._owed += runs
            self._woken.set()

    async def launch(
        self, asked: Mapping[str, Any], *, run_id: str | None, after_s: float, owner: str
    ) -> Run:
        """Create a run and have it executed: at once where it may run now and there is room.

        Args:
            asked: Arguments of `runs.create`.
            run_id: Its id; None for a new one.
            after_s: When it may run, in seconds from now.
            owner: Whose it is.

        Raises:
            NotFound: There is no such assistant or thread.
            Conflict: The strategy is `reject`, and the thread is busy; or the id is taken.
        """
        runs = self._storage.runs
        if after_s or self._ending or self._free.locked() or self._places.is_full(owner):
            run = await runs.create(**asked, run_id=run_id, after_seconds=after_s, owner=owner)
            self.wake(after_s, runs=1)
            return run
        await self._free.acquire()  # without waiting
        self._places.take(owner)
        launched = asyncio.get_running_loop().create_future()
        self._executing.add(launched)
        began_s, lease = monotonic(), None
        try:
            with self._executions.arriving() as arrival:
                begun, assistant = await asyncio.gather(
                    runs.begin(**asked, run_id=run_id, lease_s=self._config.lease_s, owner=owner),
                    self._storage.assistants.get(asked["assistant_id"], owner=owner),
                    return_exceptions=True,
                )
                if isinstance(begun, BaseException):
                    raise begun
                run, lease = begun
                if lease is not None:
                    known = None if isinstance(assistant, BaseException) else assistant
                    claimed = ClaimedRun(run=run, lease=lease)
                    self._execute(claimed, arrival, began_s, assistant=known)
        finally:
            self._executing.discard(launched)
            launched.set_result(None)
            if lease is None:
                self._leave(owner)
        if lease is None:
            self.wake(runs=1)
        return run

    async def stop(self, grace_s: float) -> None:
        """Claim no more, hand back what is not done within so many seconds, end all channels.

        Runs may first get to the end of their superstep; what takes longer than half the time is
        cut off within it, and does that step again. What cannot be cut off is handed back as it is.
        """
        deadline = monotonic() + grace_s
        self._ending = True
        self._woken.set()
        for execution in self._executions:
            execution.drain()
        await self._executed(grace_s * _DRAINING)
        for execution in self._executions:
            execution.stop(Stop.SHUTDOWN)
        await self._executed(deadline - monotonic())
        await self._give_up(_GIVING_UP_S)
        await self._executions.close()
        self.followers.close()
        self.broker.close()

    def follow(self, thread_id: str, run_id: str, *, resumable: bool, owner: str) -> Channel:
        """Return the channel of a run that has not ended, whoever executes it.

        It ends with the run; events come of runs that are executed here.
        """
        channel = self.broker.open(thread_id, run_id, resumable=resumable, owner=owner)
        self.watch(channel, owner=owner)
        return channel

    def watch(self, channel: Channel, *, owner: str) -> None:
        """See to it that a channel ends with its run, whoever executes it."""
        if not channel.ended and not channel.watched:
            channel.watched = True
            spawn(self._until_ended(channel, owner), self._watching)

    async def _claim_all(self) -> None:
        while True:
            await self._free.acquire()
            if self._ending:
                return
            owed, self._owed = self._owed, 0.0  # what comes meanwhile may come too late for it
            began_s = monotonic()
            with self._executions.arriving() as arrival:
                try:
                    claimed = await self._storage.runs.claim(
                        lease_s=self._config.lease_s, full=self._places.full
                    )
                except Exception as exc:  # noqa: BLE001 -- whatever is wrong, it may pass
                    logger.warning("no run can be claimed: %s", exc)
                    claimed = None
                if claimed is not None:
                    self._owed += owed - 1
                    self._places.take(str(claimed.run.metadata["owner"]))
                    self._execute(claimed, arrival, began_s)
            if claimed is None:
                self._free.release()
            if self._owed < 1 and not self._ending:
                await self._rest()

    async def _rest(self) -> None:
        """Wait until there are runs, or it is time to look for them."""
        poll_s = min(self._poll_s, self._config.lease_s / 4)
        self._owed = 0.0
        self._woken.clear()
        try:
            async with asyncio.timeout(poll_s):
                await self._woken.wait()
        except TimeoutError:
            self._owed = math.inf

    def _execute(
        self,
        claimed: ClaimedRun,
        arrival: Arrival,
        claimed_at_s: float,
        *,
        assistant: Assistant | None = None,
    ) -> None:
        """Begin to execute a run, in the room that was taken for it."""
        run, owner = claimed.run, str(claimed.run.metadata["owner"])
        channel = self.broker.open(
            run.thread_id,
            run.run_id,
            resumable=bool(run.kwargs.get("stream_resumable")),
            owner=owner,
        )
        execution = Execution(
            claimed,
            self._storage,
            self._graphs,
            self._checkpointer,
            channel,
            lease_s=self._config.lease_s,
            claimed_at_s=claimed_at_s,
            assistant=assistant,
            limits=self._config,
        )
        before = self._executions.add(execution)
        if arrival.has_lost(claimed.lease):
            execution.stop(Stop.LOST)
        spawn(self._carry_out(execution, channel, before), self._executing)

    def _leave(self, owner: str) -> None:
        """Give back the room of one run of an owner."""
        self._free.release()
        self._places.give(owner)

    async def _carry_out(
        self, execution: Execution, channel: Channel, before: Execution | None
    ) -> None:
        """Execute a run to its end, or until it is handed back or lost."""
        run = execution.run
        if before is not None:  # its lease ran out, but nobody else has it
            before.stop(Stop.LOST)
            await before.done.wait()
        async with self.turns.of(run.thread_id):
            pass  # in memory, its state may still be written to
        if self._ending:  # it was claimed meanwhile
            execution.stop(Stop.SHUTDOWN)
        is_lost = False
        try:
            with (
                self._metrics.running.track_inprogress(),
                about(run_id=run.run_id, thread_id=run.thread_id),
            ):
                outcome = await execution.carry_out()
        except LeaseLost as exc:
            logger.warning("run %s is not executed here any more: %s", run.run_id, exc)
            self.watch(channel, owner=execution.owner)
            is_lost = True
        except Exception:  # it is claimed again when its lease runs out
            logger.exception("run %s could not be ended", run.run_id)
            self.watch(channel, owner=execution.owner)
        else:
            if outcome is not None:
                self._metrics.runs.labels(outcome.status).inc()
                self.broker.end(run.run_id, outcome, owner=execution.owner)
                self._on_ended(run, outcome)
        finally:
            self._executions.remove(execution)
            execution.done.set()
            self._leave(execution.owner)
            self.wake()
        if is_lost:
            await self._acknowledge(execution.lease)

    async def _until_ended(self, channel: Channel, owner: str) -> None:
        """End a channel when its run has ended without being executed here."""
        while not await channel.ends_within(self._poll_s):
            if channel.run_id in self._executions:
                continue
            try:
                run = await self._storage.runs.get(channel.thread_id, channel.run_id, owner=owner)
            except NotFound:
                self.broker.end(channel.run_id, Outcome(status="interrupted"), owner=owner)
            except HarnessError:
                continue  # it is asked for again
            else:
                if run.status in TERMINAL and channel.run_id not in self._executions:
                    self.broker.end(channel.run_id, outcome_of(run), owner=owner)

    async def _executed(self, within_s: float) -> None:
        """Wait for a claim that is under way, and for everything that is executed here."""
        try:
            async with asyncio.timeout(max(within_s, 0)):
                if self._claiming is not None:
                    await asyncio.wait({self._claiming})
                while self._executing:
                    await asyncio.wait(self._executing)
        except TimeoutError:
            return

    async def _give_up(self, within_s: float) -> None:
        """Hand back what is executed still."""
        giving_up = [asyncio.ensure_future(each.give_up()) for each in self._executions]
        if giving_up:
            await asyncio.wait(giving_up, timeout=within_s)

    async def _acknowledge(self, lease: Lease) -> None:
        """Let whoever has ended a run know that it is not executed here any more."""
        try:
            await self._storage.leases.acknowledge(lease)
        except HarnessError as exc:  # they wait until the lease would have ended
            logger.info("run %s was stopped, which cannot be told: %s", lease.run_id, exc)
