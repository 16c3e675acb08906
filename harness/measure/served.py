"""Measures the agent server over HTTP: creates, turns, and its pool under load."""

from dataclasses import dataclass, field, replace
from operator import methodcaller

from harness.measure.crowd import WARM_UP, Crowd
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.records import Results, Timing
from harness.measure.running import Progress, completed, nothing_yet, silent
from harness.measure.served_creates import CREATED, WAYS, create_subjects
from harness.measure.served_load import measure_load
from harness.measure.served_places import places
from harness.measure.served_turns import Asked, askable
from harness.measure.server_plans import ServerPlan
from harness.measure.server_records import WAYS as ASKED
from harness.measure.server_records import ServedTurns, ServerLoad, Way
from harness.measure.timing import time_side_by_side
from harness.provision import PostgresServer


@dataclass(slots=True)
class _Found:
    """What there is so far."""

    timings: list[Timing] = field(default_factory=list)
    turns: list[ServedTurns] = field(default_factory=list)
    load: list[ServerLoad] = field(default_factory=list)


async def measure_server(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Measure running servers, in memory and on Postgres, beside their floors in each round.

    The floor of a create is an echo of the same body by a bare Robyn and the same storage call in
    this process, one after the other; that of a turn is such an echo and the graph in this process
    on the same checkpointer.

    Args:
        server: Where to make scratch databases; None: memory only.
        plan: What to measure.
        on_progress: Told after each sample.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ResultsError: A subject did not do its work.
        ServerEnded: An agent server could not start.
    """
    empty = await nothing_yet("server", server)
    found = _Found()
    complete = await completed(_measure(server, plan.server, found, on_progress))
    return replace(
        empty, timings=found.timings, turns=found.turns, load=found.load, complete=complete
    )


async def _measure(
    server: PostgresServer | None, plan: ServerPlan, found: _Found, told: OnProgress
) -> None:
    async with places(server, plan.pool_sizes) as running:
        everybody = {way: askable(running, way) for way in ASKED}
        cells = [
            create_subjects(running, resource, workload, plan.creates)
            for resource in CREATED
            for workload in WAYS
        ]
        samples = sum(len(cell) for cell in cells)
        samples += sum(len(asked) for asked in everybody.values()) * len(plan.conversations)
        loads = [(pooled, callers) for pooled in running.pools for callers in plan.callers]
        progress = Progress(samples * (WARM_UP + plan.rounds) + len(loads), told)
        for seed, cell in enumerate(cells):
            ends_at = progress.done + len(cell) * (WARM_UP + plan.rounds)
            progress.label = f"{cell[0].resource}: {cell[0].workload}"
            await time_side_by_side(
                cell,
                found.timings,
                rounds=plan.rounds,
                seed=seed,
                budget_s=plan.budget_s,
                on_sample=progress.step,
            )
            progress.done = ends_at
        for way, asked in everybody.items():
            for conversations in plan.conversations:
                progress.label = f"{way}: {conversations} at once"
                crowd = Crowd(asked, methodcaller("sample", conversations))
                try:
                    await crowd.take(
                        rounds=plan.rounds,
                        seed=conversations,
                        budget_s=plan.budget_s,
                        progress=progress,
                    )
                finally:  # the whole rounds of it, whatever happened
                    found.turns += _turns(crowd, way, conversations)
        for pooled, callers in loads:
            progress.label = f"pool of {pooled.size}, {callers} callers"
            found.load.append(await measure_load(pooled, callers, plan.cell_s))
            progress.step()


def _turns(crowd: Crowd[Asked], way: Way, conversations: int) -> list[ServedTurns]:
    streams = way == "stream"
    return [
        ServedTurns(
            way=way,
            host=one.host,
            checkpoints=one.checkpoints,
            client=one.client,
            conversations=conversations,
            wall_s=samples.seconds,
            first_event_s=[[turn.first_token_s for turn in turns] for turns in rounds if streams],
            total_s=[[turn.total_s for turn in turns] for turns in rounds],
            order=samples.order,
        )
        for one, samples, rounds in crowd.whole_rounds()
    ]
