"""Measures the agent server over HTTP: creates, turns, and its pool under load."""

from dataclasses import dataclass, field, replace
from typing import Final

from harness.measure.paired import OnProgress, Samples, Subject, alternate
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
from harness.measure.streamers import Turn
from harness.measure.timing import time_side_by_side
from harness.provision import PostgresServer

_WARM_UP: Final = 1


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
        progress = Progress(samples * (_WARM_UP + plan.rounds) + len(loads), told)
        for seed, cell in enumerate(cells):
            ends_at = progress.done + len(cell) * (_WARM_UP + plan.rounds)
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
                ends_at = progress.done + len(asked) * (_WARM_UP + plan.rounds)
                progress.label = f"{way}: {conversations} at once"
                measuring = _Cell(way, asked, conversations)
                try:
                    await measuring.take(plan, progress)
                finally:  # the whole rounds of it, whatever happened
                    found.turns += measuring.found()
                progress.done = ends_at
        for pooled, callers in loads:
            progress.label = f"pool of {pooled.size}, {callers} callers"
            found.load.append(await measure_load(pooled, callers, plan.cell_s))
            progress.step()


class _Cell:
    """All who are asked in one way, so many conversations at once, side by side."""

    def __init__(self, way: Way, asked: list[Asked], conversations: int) -> None:
        self._way: Way = way
        self._asked, self._conversations = asked, conversations
        self._samples = [Samples() for _ in asked]
        self._turns: list[list[list[Turn]]] = [[] for _ in asked]

    async def take(self, plan: ServerPlan, progress: Progress) -> None:
        await alternate(
            [
                self._subject(one, turns)
                for one, turns in zip(self._asked, self._turns, strict=True)
            ],
            self._samples,
            rounds=plan.rounds,
            warm_up=_WARM_UP,
            seed=self._conversations,
            budget_s=plan.budget_s,
            on_sample=progress.step,
        )

    def found(self) -> list[ServedTurns]:
        streams = self._way == "stream"
        found = []
        for one, samples, all_turns in zip(self._asked, self._samples, self._turns, strict=True):
            if samples.seconds:
                rounds = all_turns[_WARM_UP : _WARM_UP + len(samples.seconds)]
                firsts = [[turn.first_token_s for turn in turns] for turns in rounds]
                found.append(
                    ServedTurns(
                        way=self._way,
                        host=one.host,
                        checkpoints=one.checkpoints,
                        client=one.client,
                        conversations=self._conversations,
                        wall_s=samples.seconds,
                        first_event_s=firsts if streams else [],
                        total_s=[[turn.total_s for turn in turns] for turns in rounds],
                        order=samples.order,
                    )
                )
        return found

    def _subject(self, one: Asked, turns: list[list[Turn]]) -> Subject:
        async def sample() -> float:
            elapsed_s, taken = await one.sample(self._conversations)
            turns.append(taken)
            return elapsed_s

        return Subject(one.name, sample)
