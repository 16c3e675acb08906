"""What is said of savers, from cells whose rates are known."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.analysis.figures import saver_connections, saver_ratios, saver_throughput
from harness.analysis.figures.savers import NOTHING
from harness.analysis.savers import (
    alone_table,
    saver_comparisons,
    saver_frame,
    saver_gains,
    saver_lines,
    saver_table,
)
from harness.analysis.summary import summarise
from harness.measure.records import Environment, PoolCell, Results, Timing

PNG = b"\x89PNG"


def cells(subject: str, pool_size: int, rates: Sequence[float], *, peak: int) -> list[PoolCell]:
    """A round for each rate."""
    return [
        PoolCell(
            pool_size=pool_size,
            callers=50,
            mix="checkpoints",
            subject=subject,
            duration_s=1.0,
            operations=int(rate),
            busy_share=peak / pool_size,
            peak_in_use=peak,
            wait_ms=[1.0],
            throughput_per_s=rate,
            timeline=[(0.0, peak, 0), (1.0, 0, 0)],
        )
        for rate in rates
    ]


def timing(subject: str, seconds: float) -> Timing:
    """Ten conversations alone."""
    return Timing(
        workload="conversation",
        resource="checkpoints",
        subject=subject,
        operations=16,
        samples_s=[seconds * (1 + number / 100) for number in range(10)],
        order=list(range(10)),
    )


def results(pool: Sequence[PoolCell] = (), timings: Sequence[Timing] = ()) -> Results:
    """Results that hold these."""
    environment: dict[str, Any] = {"python": "", "platform": "", "cpu": "", "postgres": None}
    return Results(
        kind="savers",
        made_at=datetime(2026, 2, 14, tzinfo=UTC),
        environment=Environment(**environment, cores=2, memory_bytes=1, libraries={}),
        pool=list(pool),
        timings=list(timings),
    )


FLAT = [
    *cells("stock", 1, [100] * 6, peak=1),
    *cells("ours", 1, [110] * 6, peak=1),
    *cells("stock", 10, [100, 100, 120, 100, 100, 100], peak=1),
    *cells("ours", 10, [250, 250, 300, 250, 250, 240], peak=10),
]
ALONE = [timing("memory", 0.001), timing("ours", 0.01), timing("stock", 0.011)]


def plain(text: str) -> str:
    """Without the spaces that do not break."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MULTIPLICATION SIGN}", "x")


def test_rounds_are_pairs() -> None:
    """A round that was fast for both is not taken for a gain; the interval needs six of them."""
    gains = saver_gains(results(FLAT))
    assert gains[1].value == pytest.approx(1.1)
    assert gains[10].value == pytest.approx(2.5)
    interval = gains[10].interval
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([2.4, 2.5])
    few = [cell for cell in FLAT if cell.pool_size == 10][3:9]
    assert saver_gains(results(few))[10].interval is None


def test_a_round_in_which_one_did_nothing_is_no_pair() -> None:
    """On a machine that is too busy a short round may end before its first operation does."""
    spoilt = [*cells("stock", 5, [0, 100], peak=1), *cells("ours", 5, [200, 200], peak=5)]
    assert saver_gains(results(spoilt))[5].n == 1
    assert saver_throughput(results(spoilt)).png().startswith(PNG)


def test_the_frame_holds_medians_and_the_highest_peak() -> None:
    """One row for each pool and saver."""
    frame = saver_frame(results(FLAT)).set_index(["pool_size", "subject"])
    assert len(frame) == 4
    assert frame.loc[(10, "ours"), "throughput_per_s"] == 250
    assert frame.loc[(10, "stock"), "peak_in_use"] == 1
    assert frame.loc[(10, "stock"), "busy_share"] == pytest.approx(0.1)


def test_messages_are_computed() -> None:
    """The titles say what these cells hold."""
    found = results(FLAT, ALONE)
    assert plain(saver_throughput(found).message) == (
        "50 conversations on a pool of 10: PooledSaver does 2.50 x the operations of "
        "AsyncPostgresSaver (2.4 to 2.5)"
    )
    assert saver_connections(found).message == (
        "AsyncPostgresSaver never uses a second connection; PooledSaver uses 10 of 10"
    )
    assert plain(saver_ratios(found).message) == (
        "One conversation on PooledSaver takes 0.91 x the time of AsyncPostgresSaver"
    )


def test_messages_follow_the_data() -> None:
    """A fixed library, no difference, and too few rounds are each said."""
    fixed = [*cells("stock", 10, [100] * 6, peak=9), *cells("ours", 10, [90, 110] * 3, peak=10)]
    assert saver_connections(results(fixed)).message.startswith(
        "AsyncPostgresSaver uses 9 connections at most"
    )
    assert (
        "no difference between the savers can be told" in saver_throughput(results(fixed)).message
    )
    few = [*cells("stock", 10, [100] * 3, peak=1), *cells("ours", 10, [200] * 3, peak=10)]
    assert saver_throughput(results(few)).message.endswith("with not enough data for an interval")
    slow = [timing("ours", 0.02), timing("stock", 0.01)]
    assert saver_ratios(results([], slow)).message.endswith("slower than the 1.05 it may take")


def test_lines_judge_one_conversation() -> None:
    """The summary has the gain on the largest pool, and whether alone ours is slower."""
    gain, alone = saver_lines(results(FLAT, ALONE))
    assert plain(gain.found) == "2.50 x the operations a second"
    assert (plain(alone.found), alone.mood) == ("0.91 x the time, aim \u2264 1.05: met", "good")
    slow = results([], [timing("ours", 0.02), timing("stock", 0.01)])
    assert summarise([slow]).lines[0].mood == "bad"


def test_tables() -> None:
    """A row for each pool and saver, ours first, and one for each saver alone."""
    found = results(FLAT, ALONE)
    table = saver_table(found)
    assert list(table["saver"]) == 2 * ["PooledSaver", "AsyncPostgresSaver"]
    assert plain(table["ours / stock (95 % interval)"].iloc[2]) == "2.50 x (2.40 to 2.50)"
    assert list(alone_table(found)["saver"]) == [
        *("InMemorySaver", "PooledSaver", "AsyncPostgresSaver")
    ]
    assert [row.resource for row in saver_comparisons(found)] == [
        "alone",
        "pool of 1",
        "pool of 10",
    ]


def test_nothing_is_drawn_of_nothing() -> None:
    """An interrupted measurement has pictures all the same, which say so."""
    empty = results()
    for draw in (saver_throughput, saver_connections, saver_ratios):
        assert draw(empty).message == NOTHING
        assert draw(empty).png().startswith(PNG)
    assert saver_lines(empty) == []
    assert saver_table(empty).empty
