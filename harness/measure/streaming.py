"""Measures chat turns as their users see them: first token and last, on each checkpointer."""

from dataclasses import replace
from operator import methodcaller

from harness.measure.agent_plans import StreamingPlan
from harness.measure.agent_records import Durability, StreamCell
from harness.measure.crowd import WARM_UP, Crowd
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.records import Results
from harness.measure.running import Progress, completed, databases, nothing_yet, silent
from harness.measure.streamers import Streamer, streamers
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer


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
    progress = Progress(subjects * len(loads) * (WARM_UP + plan.rounds), told)
    async with databases(server, [plan.pool_size]) as scratch:
        database = scratch[0] if scratch else None
        if database is not None:
            await setup_langgraph(database)
        for network_ms in networks:
            async with streamers(database, network_ms=network_ms, pool_size=plan.pool_size) as lent:
                for conversations, durability in loads:
                    progress.label = f"{conversations} at once, {durability}, {network_ms:g} ms"
                    crowd = Crowd(lent, methodcaller("sample", conversations, durability))
                    try:
                        await crowd.take(
                            rounds=plan.rounds,
                            seed=conversations,
                            budget_s=plan.budget_s,
                            progress=progress,
                        )
                    finally:  # the whole rounds of it, whatever happened
                        into += _found(crowd, durability, network_ms, conversations)


def _found(
    crowd: Crowd[Streamer], durability: Durability, network_ms: float, conversations: int
) -> list[StreamCell]:
    return [
        StreamCell(
            subject=streamer.name,
            durability=durability,
            network_ms=network_ms,
            conversations=conversations,
            pool_size=streamer.pool_size,
            wall_s=samples.seconds,
            first_token_s=[[turn.first_token_s for turn in turns] for turns in rounds],
            total_s=[[turn.total_s for turn in turns] for turns in rounds],
            order=samples.order,
        )
        for streamer, samples, rounds in crowd.whole_rounds()
    ]
