"""Measures what a plan asks for, and returns records, also when it is interrupted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.measure.backends import bind, plant
from harness.measure.environment import collect
from harness.measure.floors import bare
from harness.measure.paired import OnProgress, Samples, alternate
from harness.measure.plans import Plan
from harness.measure.pool import measure_cell
from harness.measure.records import Kind, PoolCell, Results, Timing
from harness.measure.sites import MemorySite, PostgresSite, Stage
from harness.measure.subjects import NOTES, Candidate, candidates
from harness.provision import PostgresServer


def _silent(done: int, total: int, label: str) -> None:
    """Show no progress."""


async def measure_timings(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = _silent
) -> Results:
    """Time every workload of a plan on each backend and its floors, side by side.

    The backends have their default settings. A server that waits for its disk (`fsync`) is asked
    for by whoever provides it (`provision(config, storage="disk")`); the environment says so.

    Args:
        server: Where to make scratch databases, which are dropped afterwards; None: memory only.
        plan: What to measure.
        on_progress: Told after each sample.

    Returns:
        Results; those of a cancelled measurement hold what it had, and are not `complete`.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ResultsError: A subject did not do its work.
    """
    empty = await _nothing_yet("timings", server)
    timings: list[Timing] = []
    complete = await _completed(_time(server, plan, timings, on_progress))
    return replace(empty, timings=timings, complete=complete)


async def measure_pool(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = _silent
) -> Results:
    """Watch pools of every size of a plan under every number of callers; as `measure_timings`."""
    empty = await _nothing_yet("pool", server)
    cells: list[PoolCell] = []
    complete = await _completed(_watch(server, plan, cells, on_progress))
    return replace(empty, pool=cells, complete=complete)


async def _nothing_yet(kind: Kind, server: PostgresServer | None) -> Results:
    return Results(kind=kind, made_at=datetime.now(UTC), environment=await collect(server))


async def _completed(measuring: Awaitable[None]) -> bool:
    """Whether it was measured to the end; an interruption ends here, with what there is by then."""
    try:
        await measuring
    except (asyncio.CancelledError, KeyboardInterrupt):
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return False
    return True


async def _time(
    server: PostgresServer | None, plan: Plan, into: list[Timing], on_progress: OnProgress
) -> None:
    groups = plan.groups()
    beside = max(len(workloads) for _, workloads in groups)
    async with _databases(server, [None] * beside) as databases:
        memory = [Stage(MemorySite()) for _ in range(beside)]
        postgres = [Stage(PostgresSite(database)) for database in databases]
        work = [
            (
                rounds,
                [
                    candidate
                    for place, workload in enumerate(workloads)
                    for candidate in candidates(
                        workload, memory[place], postgres[place] if postgres else None
                    )
                ],
            )
            for rounds, workloads in groups
        ]
        progress = _Progress(sum(len(c) * (r + 1) for r, c in work), on_progress)
        for seed, (rounds, group) in enumerate(work):
            ends_at = progress.done + len(group) * (rounds + 1)
            await _time_group(
                group, into, progress, rounds=rounds, budget_s=plan.budget_s, seed=seed
            )
            progress.done = ends_at


async def _time_group(
    group: list[Candidate],
    into: list[Timing],
    progress: "_Progress",
    *,
    rounds: int,
    budget_s: float,
    seed: int,
) -> None:
    """Sample side by side, and keep the whole rounds of it, whatever happens."""
    samples = [Samples() for _ in group]
    workload = group[0].workload
    progress.label = f"{workload.resource}: {workload.name}"
    try:
        await alternate(
            [candidate.subject for candidate in group],
            samples,
            rounds=rounds,
            seed=seed,
            budget_s=budget_s,
            on_sample=progress.step,
        )
    finally:
        into += [
            Timing(
                workload=candidate.workload.name,
                resource=candidate.workload.resource,
                subject=candidate.subject.name,
                operations=candidate.workload.operations,
                samples_s=taken.seconds,
                order=taken.order,
                note=NOTES.get(candidate.subject.name, ""),
            )
            for candidate, taken in zip(group, samples, strict=True)
            if taken.seconds
        ]


async def _watch(
    server: PostgresServer | None, plan: Plan, into: list[PoolCell], on_progress: OnProgress
) -> None:
    loads = [(mix, callers) for mix in plan.mixes for callers in plan.callers]
    sizes = plan.pool_sizes if server is not None else ()
    subjects = ("postgres", "floor") if plan.pool_floor else ("postgres",)
    progress = _Progress(len(loads) * (1 + len(subjects) * len(sizes)), on_progress)

    async def cells(site: MemorySite | PostgresSite, subjects: tuple[str, ...]) -> None:
        for mix, callers in loads:
            for subject in subjects:
                await site.clear()
                await plant(site.storage, "threads", plan.pool_rows, parents=0)
                await site.settle()
                if subject == "floor" and isinstance(site, PostgresSite):
                    calls = bare.bind(site.database.pool, "threads", plan.pool_rows)
                else:
                    calls = bind(site.storage, "threads", plan.pool_rows)
                into.append(
                    await measure_cell(
                        site,
                        calls,
                        subject=subject,
                        callers=callers,
                        mix=mix,
                        duration_s=plan.cell_s,
                        rows=plan.pool_rows,
                    )
                )
                progress.step()

    progress.label = "memory"
    await cells(MemorySite(), ("memory",))
    async with _databases(server, sizes) as databases:
        for size, database in zip(sizes, databases, strict=True):
            progress.label = f"pool of {size}"
            await cells(PostgresSite(database), subjects)


@asynccontextmanager
async def _databases(
    server: PostgresServer | None, pool_sizes: Sequence[int | None]
) -> AsyncIterator[list[Database]]:
    """Lend migrated databases of our own, behind full pools of these sizes (None: by default)."""
    async with AsyncExitStack() as stack:
        databases = []
        if server is not None:
            scratch = await stack.enter_async_context(ScratchDatabases(server.url))
            for size in pool_sizes:
                url = await stack.enter_async_context(scratch.clone())
                config = DatabaseConfig.for_scratch(url)
                if size is not None:
                    config = replace(config, pool_min_size=size, pool_max_size=size)
                database = Database(config, name="measure")
                databases.append(await stack.enter_async_context(database))
        yield databases


class _Progress:
    """Counts steps and tells of each."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self.label = ""
        self.done = 0
        self._total, self._tell = total, on_progress

    def step(self) -> None:
        """Tell of one more."""
        self.done += 1
        self._tell(self.done, self._total, self.label)
