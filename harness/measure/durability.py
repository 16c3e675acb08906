"""Measures what a run loses when its database dies: at every superstep, with each durability.

The server is one of our own, which nobody else uses, because all of it is killed again and again
by SIGKILL. That ends processes and leaves the operating system's page cache: it says nothing about
`fsync` or a loss of power.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

from langchain_core.runnables import RunnableConfig

from harness.agents import Graph, build_steps
from harness.config import DatabaseConfig, ProvisionConfig
from harness.database import Database
from harness.errors import HarnessError, ProvisionError, ResultsError
from harness.faults import process
from harness.measure.agent_plans import DurabilityPlan
from harness.measure.agent_records import Durability, DurabilityCell
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.records import Results
from harness.measure.running import Progress, completed, nothing_yet, silent
from harness.persistence import PooledSaver, setup_langgraph
from harness.provision import PostgresServer, Storage, provisioned

_CONNECTIONS: Final = 24
"""More than a run asks for at once, so that none waits while the server lives."""
_GIVE_UP_S: Final = 0.3
"""How long a run waits for a connection to the dead server."""


async def measure_durability(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Let the database die at supersteps of runs, then resume them, with each durability.

    The run is streamed as chat servers stream (its events are sent while a superstep is under
    way), and its steps take no time, so that storing is always what is behind. All processes of
    the server are stopped in the very moment in which the caller is given the state after a
    superstep, and are then killed. The run goes on until it ends or raises; then the server is
    started on what it left, the thread is read by a new checkpointer, and the run is resumed.

    Args:
        server: Tells what kind of server to use: data on a disk where it has `fsync` on, else in
            memory. It is not touched. None: nothing is measured.
        plan: Which supersteps.
        on_progress: Told after each run.

    Returns:
        Results; of an interrupted measurement what it had, not `complete`. They hold nothing where
        no server of our own can be started, which `DATABASE_URL` alone does not call for.

    Raises:
        ResultsError: A run ended before its database died.
    """
    cells: list[DurabilityCell] = []
    async with _victim(None if server is None else "disk" if server.fsync else "tmpfs") as victim:
        empty = await nothing_yet("durability", victim)
        complete = await completed(
            _kill_at_each(victim, plan.agents.durability, cells, on_progress)
        )
    return replace(empty, durability=cells, complete=complete)


@asynccontextmanager
async def _victim(storage: Storage | None) -> AsyncIterator[PostgresServer | None]:
    """Lend a server that may be killed; None where there can be none."""
    if storage is None:
        yield None
        return
    config = replace(ProvisionConfig.from_env(), url=None)
    async with AsyncExitStack() as stack:
        server = None
        with suppress(ProvisionError):
            server = await stack.enter_async_context(provisioned(config, storage=storage))
        yield server


async def _kill_at_each(
    server: PostgresServer | None,
    plan: DurabilityPlan,
    into: list[DurabilityCell],
    on_progress: OnProgress,
) -> None:
    if server is None:
        return
    async with _database(server) as database:
        await database.migrate()
        await setup_langgraph(database)
    progress = Progress(len(plan.deaths) * len(plan.durabilities), on_progress)
    with _quiet_pool():
        for durability in plan.durabilities:
            for superstep in plan.deaths:
                progress.label = f"{durability}: the database dies at superstep {superstep}"
                into.append(await die_at(server, superstep, durability, steps=plan.steps))
                progress.step()


async def die_at(
    server: PostgresServer, superstep: int, durability: Durability, *, steps: int
) -> DurabilityCell:
    """Kill the server when a run's caller is given the state after a superstep; then resume.

    Args:
        server: A server that runs, may be killed, and has LangGraph's tables.
        superstep: Which, from 1 to `steps`.
        durability: LangGraph's, of both runs.
        steps: How many the run has.

    Raises:
        ResultsError: The run ended before that.
        ProvisionError: The server cannot be killed from here, or did not come back.
    """
    config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
    async with _database(server, patience_s=_GIVE_UP_S) as database:
        graph = build_steps(PooledSaver(database))
        watched = _Watched(superstep)
        try:
            run = graph.astream(
                {"steps": steps},
                config,
                stream_mode=["updates", "values"],
                subgraphs=True,  # streams eagerly: `updates` don't wait for the superstep's end
                durability=durability,
            )
            await _watch(run, watched, server)
        except HarnessError as exc:
            if not watched.killed:
                raise ResultsError(f"the run failed before superstep {superstep}: {exc}") from exc
    if not watched.killed:
        raise ResultsError(f"the run ended before superstep {superstep} of {steps}")
    await process.start(server)
    async with _database(server) as database:
        graph = build_steps(PooledSaver(database))
        state = await graph.aget_state(config)
        stored: int = state.values.get("step", 0)
        resumable = "checkpoint_id" in state.config["configurable"]
        again = await _resume(graph, config, durability, None if resumable else steps)
        done: list[int] = (await graph.aget_state(config)).values["done"]
    return DurabilityCell(
        durability=durability,
        steps=steps,
        died_at=superstep,
        seen=watched.seen,
        acknowledged=watched.acknowledged,
        stored=stored,
        resumable=resumable,
        executed_again=sum(number <= watched.seen for number in again),
        lost=max(0, watched.acknowledged - stored),
        finished=done == list(range(1, steps + 1)),
    )


@dataclass(slots=True)
class _Watched:
    """What the caller of a run hears of it, and when it is to kill the server."""

    die_at: int
    seen: int = 0
    acknowledged: int = 0
    killed: bool = False


async def _watch(run: AsyncIterator[Any], watched: _Watched, server: PostgresServer) -> None:
    """Read a run to its end, and kill the server on the way; what the run raises goes on."""
    async for _, mode, part in run:
        if mode == "updates":
            watched.seen = part.get("step", {}).get("step", watched.seen)
        else:
            watched.acknowledged = part.get("step", 0)
            if watched.acknowledged == watched.die_at and not watched.killed:
                watched.killed = True
                await _kill_at_once(server)


async def _kill_at_once(server: PostgresServer) -> None:
    """Stop the server in its tracks, then kill it: nothing more is answered from now on."""
    with suppress(ProvisionError):  # the processes of a container are not to be seen
        process.freeze(server)
    await process.kill(server)


async def _resume(
    graph: Graph, config: RunnableConfig, durability: Durability, begin: int | None
) -> list[int]:
    """Finish the run, from its input if need be; return the supersteps that were carried out."""
    given = None if begin is None else {"steps": begin}
    run = graph.astream(given, config, stream_mode="updates", durability=durability)
    # What a stored write stands for is told once more, as `cached`, and not carried out.
    return [
        part["step"]["step"]
        async for part in run
        if "step" in part and not part.get("__metadata__", {}).get("cached")
    ]


def _database(server: PostgresServer, *, patience_s: float = 10.0) -> Database:
    config = DatabaseConfig(
        url=server.url,
        pool_min_size=2,
        pool_max_size=_CONNECTIONS,
        pool_timeout_s=patience_s,
    )
    return Database(config, name="durability")


@contextmanager
def _quiet_pool() -> Iterator[None]:
    """Keep the pool from warning of each connection that was killed on purpose."""
    logger = logging.getLogger("psycopg.pool")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
