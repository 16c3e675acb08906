"""Measures both storage backends beside their floors, also when it is interrupted."""

from dataclasses import replace

from harness.measure.backends import bind, plant
from harness.measure.floors import bare
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.pool import measure_cell
from harness.measure.records import PoolCell, Results, Timing
from harness.measure.running import Progress, completed, databases, nothing_yet, silent
from harness.measure.sites import MemorySite, PostgresSite, Stage
from harness.measure.subjects import NOTES, candidates
from harness.measure.timing import Timed, time_side_by_side
from harness.provision import PostgresServer


async def measure_timings(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
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
    empty = await nothing_yet("timings", server)
    timings: list[Timing] = []
    complete = await completed(_time(server, plan, timings, on_progress))
    return replace(empty, timings=timings, complete=complete)


async def measure_pool(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Watch pools of every size of a plan under every number of callers; as `measure_timings`."""
    empty = await nothing_yet("pool", server)
    cells: list[PoolCell] = []
    complete = await completed(_watch(server, plan, cells, on_progress))
    return replace(empty, pool=cells, complete=complete)


async def _time(
    server: PostgresServer | None, plan: Plan, into: list[Timing], on_progress: OnProgress
) -> None:
    groups = plan.groups()
    beside = max(len(workloads) for _, workloads in groups)
    async with databases(server, [None] * beside) as lent:
        memory = [Stage(MemorySite()) for _ in range(beside)]
        postgres = [Stage(PostgresSite(database)) for database in lent]
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
        progress = Progress(sum(len(c) * (r + 1) for r, c in work), on_progress)
        for seed, (rounds, group) in enumerate(work):
            ends_at = progress.done + len(group) * (rounds + 1)
            workload = group[0].workload
            progress.label = f"{workload.resource}: {workload.name}"
            await time_side_by_side(
                [
                    Timed(
                        subject=candidate.subject,
                        workload=candidate.workload.name,
                        resource=candidate.workload.resource,
                        operations=candidate.workload.operations,
                        note=NOTES.get(candidate.subject.name, ""),
                    )
                    for candidate in group
                ],
                into,
                rounds=rounds,
                seed=seed,
                budget_s=plan.budget_s,
                on_sample=progress.step,
            )
            progress.done = ends_at


async def _watch(
    server: PostgresServer | None, plan: Plan, into: list[PoolCell], on_progress: OnProgress
) -> None:
    loads = [(mix, callers) for mix in plan.mixes for callers in plan.callers]
    sizes = plan.pool_sizes if server is not None else ()
    subjects = ("postgres", "floor") if plan.pool_floor else ("postgres",)
    progress = Progress(len(loads) * (1 + len(subjects) * len(sizes)), on_progress)

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
    async with databases(server, sizes) as lent:
        for size, database in zip(sizes, lent, strict=True):
            progress.label = f"pool of {size}"
            await cells(PostgresSite(database), subjects)
