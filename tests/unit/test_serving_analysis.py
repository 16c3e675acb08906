"""What is said of the agent server, from samples whose times are known."""

import pytest

from harness.analysis.figures import (
    served_creates,
    served_pool,
    served_ratios,
    served_turns,
    turn_shares,
)
from harness.analysis.peers import PEERS
from harness.analysis.serving import (
    ECHO,
    Who,
    create_comparisons,
    peers_table,
    serving_lines,
    serving_table,
    turn_comparisons,
)
from harness.measure.records import Results, Timing
from harness.measure.running import nothing_yet
from harness.measure.server_records import (
    WAYS,
    Checkpoints,
    Client,
    Host,
    ServedTurns,
    ServerLoad,
    Way,
)

ROUNDS = 10


def creates(subject: str, each_s: float) -> Timing:
    """Ten samples of ten threads, each of which takes about as long."""
    return Timing(
        workload="create_sequential",
        resource="threads",
        subject=subject,
        operations=10,
        samples_s=[10 * each_s * (1 + number / 1_000) for number in range(ROUNDS)],
        order=list(range(ROUNDS)),
    )


def turns(
    host: Host,
    checkpoints: Checkpoints,
    client: Client | None,
    total_s: float,
    *,
    way: Way = "wait",
    conversations: int = 1,
) -> ServedTurns:
    """Ten rounds of turns of about as long, whose first event comes after a tenth."""
    rounds = [total_s * (1 + number / 1_000) for number in range(ROUNDS)]
    return ServedTurns(
        way=way,
        host=host,
        checkpoints=checkpoints,
        client=client,
        conversations=conversations,
        wall_s=rounds,
        first_event_s=[[turn / 10] * conversations for turn in rounds] if way == "stream" else [],
        total_s=[[turn] * conversations for turn in rounds],
        order=list(range(ROUNDS)),
    )


async def found(**parts: object) -> Results:
    """Results of kind `server` that hold these."""
    empty = await nothing_yet("server", None)
    return Results(
        kind="server",
        made_at=empty.made_at,
        environment=empty.environment,
        **parts,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("served_s", "told"), [(0.003, "met"), (0.009, "missed")])
async def test_a_create_is_compared_with_echo_and_storage_together(
    served_s: float, told: str
) -> None:
    """The floor is a sum, sample by sample: 1 ms of echo and 3 of storage make 4."""
    results = await found(
        timings=[
            creates("echo raw", 0.001),
            creates("memory storage", 0.003),
            creates("memory raw", served_s),
            creates("memory sdk", 1.0),  # has no echo of its own, and so no floor
        ]
    )
    [row] = create_comparisons(results)
    assert row.ratio.value == pytest.approx(served_s / 0.004)
    assert row.verdict == told
    [line] = serving_lines(results)
    assert f"1 {told}" in line.found
    assert line.mood == ("good" if told == "met" else "bad")


async def test_a_turn_is_compared_with_echo_and_graph_on_the_same_checkpointer() -> None:
    """Waits and streams apart, each with the graph on its own store and the echo of its way."""
    results = await found(
        turns=[
            turns("echo", "none", "raw", 0.001),
            turns("process", "none", None, 0.5),
            turns("process", "memory", None, 0.009),
            turns("process", "postgres", None, 0.019),
            turns("server", "memory", "raw", 0.015),
            turns("server", "postgres", "raw", 0.060),
            turns("echo", "none", "raw", 0.001, way="stream"),
            turns("process", "memory", None, 0.009, way="stream"),
            turns("server", "memory", "raw", 0.030, way="stream"),
        ]
    )
    told: dict[str, object] = {
        row.what: (row.ratio.value, row.verdict) for row in turn_comparisons(results)
    }
    assert told == {
        "run and wait, memory / floor": (pytest.approx(1.5), "met"),
        "run and wait, postgres / floor": (pytest.approx(3.0), "missed"),
        "first event, memory / floor": (pytest.approx(3.0), "missed"),
        "whole stream, memory / floor": (pytest.approx(3.0), "missed"),
    }


@pytest.mark.slow
async def test_pictures_and_tables_of_everything_and_of_nothing() -> None:
    """Each draws what there is, says it in its title, and survives results that hold nothing."""
    load = ServerLoad(
        pool_size=2,
        callers=20,
        duration_s=0.5,
        operations=100,
        busy_share=0.9,
        waiting=16,
        wait_ms=45,
        checkouts=101,
    )
    everything = await found(
        timings=[
            creates(f"{who} {how}", 0.001)
            for who in ("echo", "memory", "postgres")
            for how in ("raw", "sdk", "storage")
        ],
        turns=[
            turns(who.host, who.checkpoints, who.client, 0.010, way=way, conversations=many)
            for way in WAYS
            for many in (1, 10)
            for who in (
                ECHO,
                Who("process", "none", None),
                Who("process", "memory", None),
                Who("server", "memory", "raw"),
                Who("server", "memory", "sdk"),
            )
        ],
        load=[load],
    )
    nothing = await found()
    for draw in (served_creates, turn_shares, served_turns, served_ratios, served_pool):
        assert draw(everything).png()
        assert draw(nothing).png()
    assert "90% of 2 connections" in served_pool(everything).message
    assert "0.50" in served_creates(everything).message
    table = serving_table(everything)
    assert set(table["what"]) >= {"creates one after another: threads", "first event"}
    assert serving_table(nothing).empty
    assert serving_lines(nothing) == []
    assert "90% of 2 connections busy under 20 callers" in serving_lines(everything)[-1].found


def test_what_is_quoted_says_where_it_is_from() -> None:
    """No figure of another server stands there as if it had been measured here."""
    table = peers_table()
    assert len(table) == len(PEERS)
    assert all(len(source) > 20 for source in table["source"])
