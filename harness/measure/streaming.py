"""Measures chat turns as their users see them: first token and last, on each checkpointer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from harness.measure.agent_plans import StreamingPlan
from harness.measure.agent_records import Durability, StreamCell
from harness.measure.paired import OnProgress, Samples, Subject, alternate
from harness.measure.plans import Plan
from harness.measure.records import Results
from harness.measure.running import Progress, completed, databases, nothing_yet, silent
from harness.measure.streamers import Streamer, Turn, streamers
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer

_WARM_UP: Final = 1


async def measure_streaming(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Stream chat turns on each checkpointer, side by side: alone and many at once, near and far.

    Every turn is the first of a thread. On the slow network only what uses it is measured.

    Args:
        server: Where to make a scratch database; None: only what needs none is measured.
        plan: What to measure.
        on_progress: Told after each sample.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ResultsError: A turn was not answered or not stored.
    """
    empty = await nothing_yet("streaming", server)
    cells: list[StreamCell] = []
    complete = await completed(_measure(server, plan.agents.streaming, cells, on_progress))
    return replace(empty, streaming=cells, complete=complete)


async def _measure(
    server: PostgresServer | None, plan: StreamingPlan, into: list[StreamCell], told: OnProgress
) -> None:
    networks = plan.network_ms if server is not None else (0.0,)
    loads = [(many, when) for when in plan.durabilities for many in plan.conversations]
    subjects = sum(2 * (not network_ms) + 2 * (server is not None) for network_ms in networks)
    progress = Progress(subjects * len(loads) * (_WARM_UP + plan.rounds), told)
    async with databases(server, [plan.pool_size]) as scratch:
        database = scratch[0] if scratch else None
        if database is not None:
            await setup_langgraph(database)
        for network_ms in networks:
            async with streamers(database, network_ms=network_ms, pool_size=plan.pool_size) as lent:
                for conversations, durability in loads:
                    progress.label = f"{conversations} at once, {durability}, {network_ms:g} ms"
                    ends_at = progress.done + len(lent) * (_WARM_UP + plan.rounds)
                    measuring = _Cell(lent, conversations, durability, network_ms)
                    try:
                        await measuring.take(plan, progress)
                    finally:  # the whole rounds of it, whatever happened
                        into += measuring.found()
                    progress.done = ends_at


class _Cell:
    """All subjects under one load, side by side."""

    def __init__(
        self,
        lent: Sequence[Streamer],
        conversations: int,
        durability: Durability,
        network_ms: float,
    ) -> None:
        self._lent = lent
        self._conversations, self._durability = conversations, durability
        self._network_ms = network_ms
        self._samples = [Samples() for _ in lent]
        self._turns: list[list[list[Turn]]] = [[] for _ in lent]

    async def take(self, plan: StreamingPlan, progress: Progress) -> None:
        await alternate(
            [
                self._subject(streamer, turns)
                for streamer, turns in zip(self._lent, self._turns, strict=True)
            ],
            self._samples,
            rounds=plan.rounds,
            warm_up=_WARM_UP,
            seed=self._conversations,
            budget_s=plan.budget_s,
            on_sample=progress.step,
        )

    def found(self) -> list[StreamCell]:
        found = []
        for streamer, samples, all_turns in zip(
            self._lent, self._samples, self._turns, strict=True
        ):
            if samples.seconds:
                rounds = all_turns[_WARM_UP : _WARM_UP + len(samples.seconds)]
                found.append(
                    StreamCell(
                        subject=streamer.name,
                        durability=self._durability,
                        network_ms=self._network_ms,
                        conversations=self._conversations,
                        pool_size=streamer.pool_size,
                        wall_s=samples.seconds,
                        first_token_s=[[turn.first_token_s for turn in turns] for turns in rounds],
                        total_s=[[turn.total_s for turn in turns] for turns in rounds],
                        order=samples.order,
                    )
                )
        return found

    def _subject(self, streamer: Streamer, turns: list[list[Turn]]) -> Subject:
        async def sample() -> float:
            elapsed_s, taken = await streamer.sample(self._conversations, self._durability)
            turns.append(taken)
            return elapsed_s

        return Subject(streamer.name, sample)
