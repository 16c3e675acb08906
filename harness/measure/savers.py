"""Measures savers: many conversations at once on pools of several sizes, and one alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from harness.database import Database
from harness.measure.agent_plans import SaversPlan
from harness.measure.conversations import (
    ON_POSTGRES,
    Conversation,
    MemoryThreads,
    PostgresThreads,
    Threads,
    check,
    prepare,
)
from harness.measure.driving import Load, drive
from harness.measure.names import CHECKPOINTS
from harness.measure.paired import OnProgress, Subject, orders, timed
from harness.measure.plans import Plan
from harness.measure.recording import recorded_turn
from harness.measure.records import PoolCell, Results, Timing
from harness.measure.running import Progress, completed, nothing_yet, one_database, silent
from harness.measure.saver_workloads import SaverCase, conversation
from harness.measure.subjects import NOTES
from harness.measure.timing import Timed, time_side_by_side
from harness.measure.turns import Turn
from harness.provision import PostgresServer


async def measure_savers(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Drive LangGraph's Postgres saver and ours on the same pools, and one conversation alone.

    What is asked of them is what LangGraph asked for in a turn of the graph `agent`, recorded and
    repeated. Cells of one pool size are in rounds of alternating order, so that those of the same
    index are pairs.

    Args:
        server: Where to make a scratch database, which is dropped afterwards; without one there is
            nothing to measure.
        plan: How much.
        on_progress: Told after each cell and each sample.

    Returns:
        Results; those of a cancelled measurement hold what it had, and are not `complete`.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ResultsError: A saver did not do its work.
    """
    empty = await nothing_yet("savers", server)
    cells: list[PoolCell] = []
    timings: list[Timing] = []
    complete = True
    if server is not None:
        complete = await completed(
            _measure(server, plan.agents.savers, cells, timings, on_progress)
        )
    return replace(empty, pool=cells, timings=timings, complete=complete)


async def _measure(
    server: PostgresServer,
    plan: SaversPlan,
    cells: list[PoolCell],
    timings: list[Timing],
    on_progress: OnProgress,
) -> None:
    turn = await recorded_turn()
    async with one_database(server, plan.pool_sizes) as pools:
        await prepare(pools[0], turn)
        subjects = tuple(name for name in ON_POSTGRES if plan.floor or name != "floor")
        in_cells = len(pools) * len(subjects) * (1 + plan.rounds)
        alone = (1 + len(ON_POSTGRES)) * (1 + plan.alone_rounds)
        progress = Progress(in_cells + alone, on_progress)
        for seed, database in enumerate(pools):
            progress.label = f"pool of {database.pool.max_size}"
            on_pool = [PostgresThreads(database, turn, name, plan.tasks) for name in subjects]
            await _rounds(on_pool, plan, cells, progress, seed=seed)
        progress.label = "one conversation"
        await _alone(pools[0], turn, plan, timings, progress)


async def _rounds(
    subjects: Sequence[PostgresThreads],
    plan: SaversPlan,
    into: list[PoolCell],
    progress: Progress,
    *,
    seed: int,
) -> None:
    """Drive everybody in turn, and keep the whole rounds; the first only warms up."""
    for number, order in enumerate(orders(len(subjects), 1 + plan.rounds, seed=seed)):
        found: list[PoolCell] = []
        for index in order:
            found.append(await measure_saver(subjects[index], plan.cell_s))
            progress.step()
        if number:
            into += found


async def measure_saver(threads: PostgresThreads, duration_s: float) -> PoolCell:
    """Carry on every thread for a while, each by a task of its own, and watch the pool.

    Raises:
        ResultsError: Something that was acknowledged is not there.
    """
    planted = await threads.plant()
    before = await threads.rows()
    conversations = [
        Conversation(planted.player, threads.turn, each, place=place)
        for place, each in enumerate(planted.ids)
    ]
    cell = await drive(
        Load(
            subject=threads.subject,
            mix="checkpoints",
            callers=len(conversations),
            duration_s=duration_s,
        ),
        lambda caller: conversations[caller].go_on(),
        threads.database.pool,
    )
    await check(threads, before, sum((one.added for one in conversations), Counter()))
    return cell


async def _alone(
    database: Database, turn: Turn, plan: SaversPlan, into: list[Timing], progress: Progress
) -> None:
    """Time one conversation, side by side with memory."""
    workload = conversation(turn, plan.alone_turns)
    threads: list[tuple[str, Threads]] = [
        ("memory", MemoryThreads(turn, workload.threads)),
        *((name, PostgresThreads(database, turn, name, workload.threads)) for name in ON_POSTGRES),
    ]
    await time_side_by_side(
        [
            Timed(
                subject=Subject(name, partial(timed, SaverCase(one, workload))),
                workload=workload.name,
                resource=CHECKPOINTS,
                operations=workload.operations,
                note=NOTES.get(name, ""),
            )
            for name, one in threads
        ],
        into,
        rounds=plan.alone_rounds,
        on_sample=progress.step,
    )
