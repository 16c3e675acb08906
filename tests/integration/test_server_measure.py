"""The agent server measured end to end on small sizes, and what would be no sample."""

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from harness.errors import ResultsError
from harness.measure.plans import PLANS, QUICK, Plan
from harness.measure.raw_http import RawConnection
from harness.measure.records import load, save
from harness.measure.served import measure_server
from harness.measure.served_creates import create_subjects
from harness.measure.served_places import places
from harness.measure.served_turns import askable
from harness.measure.server_plans import ServerPlan
from harness.measure.server_records import WAYS
from harness.provision import PostgresServer

TINY = ServerPlan(
    rounds=2,
    budget_s=60,
    creates=3,
    conversations=(1, 2),
    pool_sizes=(10,),
    callers=(3,),
    cell_s=0.05,
)


def tiny(**sizes: object) -> Plan:
    """The quick plan, with the server's part this small."""
    return replace(QUICK, server=replace(TINY, **sizes))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.postgres
async def test_every_cell_is_measured(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Creates and turns of both servers stand beside their floors, in pairs; all is loadable."""
    told: list[tuple[int, int]] = []
    results = await measure_server(
        postgres_server, tiny(), on_progress=lambda done, total, _: told.append((done, total))
    )
    assert results.complete
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert load(save(results, tmp_path)) == results
    ways = ("raw", "sdk", "storage")
    assert {(t.resource, t.workload, t.subject) for t in results.timings} == {
        (resource, workload, subject)
        for resource in ("assistants", "threads")
        for workload in ("create_sequential", "create_20_workers")
        for subject in (
            *(f"{place} {way}" for place in ("memory", "postgres") for way in ways),
            "echo raw",
            "echo sdk",
        )
    }
    stores = ("memory", "postgres")
    turns = {(t.way, t.conversations, t.host, t.checkpoints, t.client) for t in results.turns}
    assert turns == {
        (way, many, *subject)
        for way in ("wait", "stream")
        for many in (1, 2)
        for subject in (
            *(("process", store, None) for store in ("none", *stores)),
            *(("server", store, client) for store in stores for client in ("raw", "sdk")),
            ("echo", "none", "raw"),
        )
    }
    for timing in results.timings:
        assert len(timing.samples_s) == len(timing.order) == 2
    for cell in results.turns:
        assert len(cell.wall_s) == len(cell.order) == len(cell.total_s) == 2
        assert len(cell.first_event_s) == (2 if cell.way == "stream" else 0)
        for firsts, totals in zip(cell.first_event_s, cell.total_s, strict=False):
            assert all(0 < f <= t for f, t in zip(firsts, totals, strict=True))
    [under_load] = results.load
    assert (under_load.pool_size, under_load.callers) == (10, 3)
    assert under_load.checkouts >= under_load.operations >= 3
    assert 0 < under_load.busy_share <= 1
    assert under_load.waiting >= 0


@pytest.mark.slow
async def test_memory_needs_no_database_and_an_interruption_keeps_whole_rounds() -> None:
    """A cancelled measurement returns what it had; the servers that it started are gone."""
    task = asyncio.current_task()
    assert task is not None

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 5 * 3 + 1:  # a warm-up, two rounds, and one subject of the third
            task.cancel()

    results = await measure_server(None, tiny(rounds=9), on_progress=stop)
    assert not task.cancelling()
    assert not results.complete
    assert not results.turns
    assert {t.subject.partition(" ")[0] for t in results.timings} == {"memory", "echo"}
    assert [len(t.samples_s) for t in results.timings] == [2] * 5


@pytest.mark.slow
async def test_what_was_not_done_is_no_sample() -> None:
    """An echo in the place of a server is found out: it creates no rows and answers no turn.

    The raw connection itself takes answers of any size, one behind another, and refuses errors.
    """
    async with places(None, ()) as running:
        [store] = running.stores
        liar = replace(running, stores=[replace(store, served=running.echo)])
        subjects = create_subjects(liar, "threads", "create_sequential", 2)
        named = {one.subject.name: one.subject for one in subjects}
        with pytest.raises((ResultsError, ValueError)):
            await named["memory raw"].sample()
        for way in WAYS:
            for asked in askable(liar, way):
                if asked.host == "server" and asked.client == "raw":
                    with pytest.raises((ResultsError, KeyError)):
                        await asked.sample(1)
        body = orjson.dumps({"text": "x" * 500_000})
        async with RawConnection(running.echo.url) as line:
            assert await line.post("/a", body) == body
            assert await line.post("/b", b"{}") == b"{}"
        async with RawConnection(store.served.url) as line:
            with pytest.raises(ResultsError, match="404"):
                await line.post("/nowhere", b"{}")


def test_plans() -> None:
    """The aims can be judged: 100 creates and 1 to 50 conversations by default."""
    for name, plan in PLANS.items():
        server = plan.server
        assert 1 in server.conversations
        assert (50 in server.conversations) == (name != "quick")
        assert (server.creates == 100) == (name != "quick")
        assert 10 in server.pool_sizes
