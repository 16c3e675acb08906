"""Measures how a thread grows with its turns, and what its length costs those who read it."""

from dataclasses import dataclass, field, replace

from harness.database import Database
from harness.measure.agent_plans import GrowthPlan
from harness.measure.agent_records import Channels, Durability, GrowthPoint, PruneGain
from harness.measure.footprint import (
    disk_bytes,
    disk_factor,
    empty,
    footprint,
    log_position,
    settle,
)
from harness.measure.growing import GrowingThread, graph_on
from harness.measure.long_threads import cut, grow_long_threads
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.reads import CALLS, time_reads
from harness.measure.records import Results, Timing
from harness.measure.running import Progress, completed, databases, nothing_yet, silent
from harness.measure.shortening import prune_threads
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer


async def measure_growth(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Grow threads turn by turn and weigh them; then read long ones, and prune them.

    Threads grow one after another, each alone in the tables. What the server writes to its log
    meanwhile is all counted as theirs, so a server that others use tells too much.

    Args:
        server: Where to make scratch databases; None: nothing can be measured.
        plan: What to measure.
        on_progress: Told after each turn and each read.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ResultsError: Messages, checkpoints or states were missing.
    """
    nothing = await nothing_yet("growth", server)
    found = _Found()
    complete = await completed(_measure(server, plan.agents.growth, found, on_progress))
    return replace(
        nothing,
        growth=found.points,
        pruning=found.gains,
        timings=found.timings,
        complete=complete,
    )


@dataclass(slots=True)
class _Found:
    """What there is by now."""

    points: list[GrowthPoint] = field(default_factory=list)
    gains: list[PruneGain] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)


async def _measure(
    server: PostgresServer | None, plan: GrowthPlan, found: _Found, on_progress: OnProgress
) -> None:
    grown = [(one, when) for one in plan.channels for when in plan.durabilities]
    reads = len(CALLS) * len(plan.channels) * len(plan.read_at) * (plan.reads + 1)
    total = len(grown) * max(plan.turns) + len(plan.channels) * plan.long_turns + reads
    progress = Progress(total, on_progress)
    async with databases(server, [None] * 2) as lent:
        for database in lent:
            await setup_langgraph(database)
        if lent:
            for kind in grown:
                await _grow(lent[0], kind, plan, found, progress)
            await _read_and_prune(lent[1], plan, found, progress)


async def _grow(
    database: Database,
    kind: tuple[Channels, Durability],
    plan: GrowthPlan,
    found: _Found,
    progress: Progress,
) -> None:
    """Hold one conversation in empty tables, and weigh it on the way."""
    channels, durability = kind
    progress.label = f"{channels} channels, {durability}"
    await empty(database)
    thread = GrowingThread(graph_on(database, channels), f"{channels}-{durability}", durability)
    disk_before, log_before = await disk_bytes(database), await log_position(database)
    for turn in range(1, max(plan.turns) + 1):
        await thread.turn()
        progress.step()
        if turn in plan.turns:
            log_now, disk_now = await log_position(database), await disk_bytes(database)
            there = await footprint(database, thread.thread_id)
            is_longest = turn == max(plan.turns)
            found.points.append(
                GrowthPoint(
                    channels=channels,
                    durability=durability,
                    turns=turn,
                    rows=there.rows,
                    stored_bytes=there.stored_bytes,
                    disk_bytes={name: disk_now[name] - disk_before[name] for name in disk_now},
                    wal_bytes=log_now - log_before,
                    disk_factor=await disk_factor(database, thread.thread_id)
                    if is_longest
                    else None,
                )
            )


async def _read_and_prune(
    database: Database, plan: GrowthPlan, found: _Found, progress: Progress
) -> None:
    """Make threads of each length, read them side by side, and prune others like those grown."""
    progress.label = f"threads of {max(plan.read_at):,} checkpoints"
    long = await grow_long_threads(
        database, plan.channels, max(plan.read_at), on_turn=progress.step
    )
    threads = []
    for checkpoints in plan.read_at:
        names = {one.channels: f"{one.channels}-{checkpoints}" for one in long}
        threads += await cut(database, long, checkpoints, names)
    await settle(database)
    for call in CALLS:
        progress.label = f"reads: {call}"
        ends_at = progress.done + len(threads) * (plan.reads + 1)
        await time_reads(
            call,
            threads,
            found.timings,
            rounds=plan.reads,
            budget_s=plan.budget_s,
            on_sample=progress.step,
        )
        progress.done = ends_at
    progress.label = "pruning"
    longest = min(one.turns for one in long)
    for turns in sorted({*(turns for turns in plan.turns if turns < longest), longest}):
        checkpoints = min(turns * one.checkpoints_a_turn for one in long)
        names = {one.channels: f"{one.channels}-pruned-{turns}" for one in long}
        to_prune = await cut(database, long, checkpoints, names)
        found.gains += await prune_threads(database, to_prune, plan.keep_latest)
