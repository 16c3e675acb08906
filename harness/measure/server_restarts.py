"""Measures how long an agent server is away when it is restarted, and a run that it was in.

A server of our own is ended in the midst of a run and started again at once, as a deployment or a
supervisor would, in memory and on Postgres.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from langgraph_sdk.client import LangGraphClient

from harness.database import ScratchDatabases
from harness.errors import ResultsError
from harness.faults.served import Served
from harness.measure.agent_plans import RestartsPlan
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.records import Results
from harness.measure.restart_records import EndedBy, ServerRestart
from harness.measure.running import Progress, completed, nothing_yet, silent
from harness.provision import PostgresServer

_SIGNALS: Final[dict[EndedBy, signal.Signals]] = {
    "SIGTERM": signal.SIGTERM,
    "SIGKILL": signal.SIGKILL,
}
_STEP_S: Final = 0.05


async def measure_server_restarts(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """End agent servers in the midst of runs and start them again, side by side in turns.

    Args:
        server: Where to make a scratch database, which is dropped afterwards; None: memory only.
        plan: How often.
        on_progress: Told after each restart.

    Returns:
        Results; those of a cancelled measurement hold what it had, and are not `complete`.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ServerEnded: An agent server did not start, or did not end as it should.
        ServerSilent: It did so too slowly.
        ResultsError: It lost what it must not lose.
    """
    empty = await nothing_yet("restarts", server)
    restarts: list[ServerRestart] = []
    complete = await completed(_restart_all(server, plan.agents.restarts, restarts, on_progress))
    return replace(empty, restarts=restarts, complete=complete)


async def _restart_all(
    server: PostgresServer | None,
    plan: RestartsPlan,
    into: list[ServerRestart],
    on_progress: OnProgress,
) -> None:
    async with _served(server, plan) as subjects:
        ends: list[tuple[str, EndedBy]] = [("memory", "SIGTERM")]  # it loses all, however it ends
        if "postgres" in subjects:
            ends += [("postgres", end) for end in plan.ends]
        progress = Progress(plan.rounds * len(ends), on_progress)
        for _ in range(plan.rounds):
            for name, ended_by in ends:
                progress.label = f"{name}: {ended_by} in mid-run"
                into.append(await restart_once(subjects[name], name, ended_by, plan))
                progress.step()


@asynccontextmanager
async def _served(
    server: PostgresServer | None, plan: RestartsPlan
) -> AsyncIterator[dict[str, Served]]:
    """Lend a running agent server for each subject, by its name."""
    settings = {"HARNESS_LEASE_S": f"{plan.lease_s:g}"}
    async with AsyncExitStack() as stack:
        subjects = {"memory": Served(settings=settings)}
        if server is not None:
            scratch = await stack.enter_async_context(ScratchDatabases(server.url))
            url = await stack.enter_async_context(scratch.clone())
            subjects["postgres"] = Served(url, settings=settings)
        await asyncio.gather(*(stack.enter_async_context(one) for one in subjects.values()))
        yield subjects


async def restart_once(
    served: Served, subject: str, ended_by: EndedBy, plan: RestartsPlan
) -> ServerRestart:
    """End a server in the midst of a run, start it again, and follow the run to its end.

    Args:
        served: A running server of the bundled agents.
        subject: What it stores in.
        ended_by: How it ends.
        plan: How many steps the run has, and with which lease the server was started.

    Raises:
        ServerEnded: It did not start, or did not end as it should.
        ServerSilent: It did so too slowly.
        ResultsError: It lost what it must not lose, or kept what it cannot have kept.
    """
    client, http = served.client(), served.http()
    thread_id = str(uuid4())
    before = _Heard(plan.steps // 3)
    reading = asyncio.create_task(_begin(client, thread_id, plan.steps, before))
    midway = asyncio.create_task(before.midway.wait())
    await asyncio.wait({reading, midway}, return_when=asyncio.FIRST_COMPLETED)
    if not midway.done():
        midway.cancel()
        await reading
        raise ResultsError(f"the run ended before step {before.until} of {plan.steps}")
    [run] = await client.runs.list(thread_id)

    signalled = perf_counter()
    await served.end(_SIGNALS[ended_by])
    ended = perf_counter()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    started = perf_counter()
    await served.start()
    ready = perf_counter()
    answer = await http.get(f"/threads/{thread_id}")
    answered = perf_counter()
    remembers = subject != "memory"
    if answer.status_code != (HTTPStatus.OK if remembers else HTTPStatus.NOT_FOUND):
        raise ResultsError(f"on {subject}, a thread is answered for with {answer.status_code}")

    after = _Heard(1)
    if remembers:
        await after.read(client.runs.join_stream(thread_id, run["run_id"]))
        await _check_whole(client, thread_id, run["run_id"], plan.steps)
    seen = before.steps[-1]
    return ServerRestart(
        subject=subject,
        ended_by=ended_by,
        lease_s=plan.lease_s,
        steps=plan.steps,
        ended_s=ended - signalled,
        ready_s=ready - started,
        answered_s=answered - started,
        continued_s=after.at - started if remembers else None,
        seen=seen,
        done_again=max(0, seen + 1 - after.steps[0]) if remembers else None,
    )


class _Heard:
    """The steps that a reader was told of.

    Args:
        until: How many make `midway`.
    """

    def __init__(self, until: int) -> None:
        self.until = until
        self.steps: list[int] = []
        self.midway = asyncio.Event()
        self.at = 0.0
        """When the first was told, on the clock of `perf_counter`."""

    async def read(self, parts: AsyncIterator[Any]) -> None:
        """Read a stream of updates to its end."""
        async for part in parts:
            if part.event != "updates" or "step" not in part.data:
                continue
            if not self.steps:
                self.at = perf_counter()
            self.steps.append(part.data["step"]["step"])
            if len(self.steps) == self.until:
                self.midway.set()


async def _begin(client: LangGraphClient, thread_id: str, steps: int, heard: _Heard) -> None:
    """Create the run, and read what it says."""
    await heard.read(
        client.runs.stream(
            thread_id,
            "steps",
            input={"steps": steps, "delay_s": _STEP_S},
            if_not_exists="create",
            stream_mode="updates",
            stream_resumable=True,
            durability="sync",
        )
    )


async def _check_whole(client: LangGraphClient, thread_id: str, run_id: str, steps: int) -> None:
    values: Any = await client.runs.join(thread_id, run_id)
    if values.get("done") != list(range(1, steps + 1)):
        raise ResultsError(f"a run of {steps} steps went on to {values.get('done')}")
