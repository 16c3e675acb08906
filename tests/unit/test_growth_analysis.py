"""What is said of growth, from points whose bytes are known."""

import math

import pytest

from harness.analysis.figures import pruning_gain, read_latency, thread_growth, yearly_growth
from harness.analysis.growth import (
    bytes_at,
    forecast,
    forecast_table,
    growth_lines,
    growth_table,
    pruned_forecast,
    pruning_table,
)
from harness.analysis.words import size
from harness.measure.agent_records import Channels, GrowthPoint, PruneGain
from harness.measure.environment import collect
from harness.measure.records import Results, Timing
from harness.measure.running import nothing_yet


def point(turns: int, stored: int, channels: Channels = "plain") -> GrowthPoint:
    """A thread of so many bytes, twice as many on disk, and three times in WAL."""
    return GrowthPoint(
        channels=channels,
        durability="async",
        turns=turns,
        rows={"checkpoints": 4 * turns, "checkpoint_blobs": 3 * turns},
        stored_bytes={"checkpoints": stored // 2, "checkpoint_blobs": stored - stored // 2},
        disk_bytes={"checkpoints": stored, "checkpoint_blobs": stored},
        wal_bytes=3 * stored,
    )


async def results_of(*points: GrowthPoint) -> Results:
    """Results that hold these points, and a thread of 100 turns that was pruned to a tenth."""
    empty = await nothing_yet("growth", None)
    gain = PruneGain(
        channels="plain",
        turns=100,
        keep_latest=10,
        checkpoints_before=400,
        checkpoints_after=10,
        rows_before=1_200,
        rows_after=30,
        bytes_before=1_000_000,
        bytes_after=100_000,
        took_s=0.1,
    )
    reads = [
        Timing(
            workload=f"state_at_{checkpoints}",
            resource="checkpoints",
            subject="plain",
            operations=1,
            samples_s=[ms / 1_000] * 8,
            order=list(range(8)),
        )
        for checkpoints, ms in ((10, 2.0), (1_000, 8.0))
    ]
    return Results(
        kind="growth",
        made_at=empty.made_at,
        environment=await collect(None),
        growth=list(points),
        pruning=[gain] if points else [],
        timings=reads if points else [],
    )


def test_between_measured_lengths_is_a_line() -> None:
    """Nothing at no turns, the measured bytes where they were measured, and no guess beyond."""
    known = [(10, 1_000), (20, 4_000)]
    assert bytes_at(known, 0) == 0
    assert bytes_at(known, 5) == 500
    assert bytes_at(known, 10) == 1_000
    assert bytes_at(known, 15) == 2_500
    assert bytes_at(known, 20) == 4_000
    assert math.isnan(bytes_at(known, 21))


async def test_the_forecast_is_a_years_threads() -> None:
    """1,000 turns a day in threads of 10 turns are 36,500 threads a year, with their indexes."""
    results = await results_of(point(10, 1_000), point(20, 4_000))
    [row] = forecast(results, turns_a_day=1_000, turns_a_thread=10).to_dict("records")
    assert row["disk_gb"] == pytest.approx(36_500 * 2_000 / 1e9)
    assert row["wal_gb"] == pytest.approx(36_500 * 3_000 / 1e9)
    table = forecast_table(results, turns_a_day=1_000, turns_a_thread=21)
    assert list(table["on disk, a year"]) == ["not measured"]
    assert "were not measured" in yearly_growth(results, turns_a_thread=21).message
    pruned = pruned_forecast(results, turns_a_day=100).to_dict("records")
    assert pruned[0]["never pruned"] == size(365 * 2_000_000)
    assert pruned[0]["pruned to 10"] == size(365 * 200_000)


async def test_pictures_and_lines_say_what_they_show() -> None:
    """Messages hold the numbers of the longest threads."""
    results = await results_of(point(10, 1_000), point(50, 934_000), point(50, 351_000, "delta"))
    message = thread_growth(results).message
    assert "50 turns takes 934 kB in plain channels and 351 kB in delta channels" in message
    assert "gives back 90% of plain channels" in pruning_gain(results).message
    assert "4.00\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN} the time" in read_latency(results).message
    assert len(growth_table(results)) == 3
    assert len(pruning_table(results)) == 1
    assert [line.mood for line in growth_lines(results)] == ["plain"] * 3


async def test_pictures_of_nothing() -> None:
    """Without points there is a sentence in place of a picture."""
    results = await results_of()
    for draw in (thread_growth, read_latency, pruning_gain):
        assert draw(results).message.startswith("No thread was")
    assert growth_lines(results) == []


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12 bytes"), (934_000, "934 kB"), (1.9e6, "1.9 MB"), (6.2e9, "6.2 GB")]
)
def test_sizes_in_words(value: float, text: str) -> None:
    """Bytes are written in the unit that fits."""
    assert size(value) == text
