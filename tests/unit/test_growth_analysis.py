"""What is said of growth, from points whose bytes are known."""

import math
from dataclasses import replace

import pytest

from harness.analysis.figures import (
    pruning_gain,
    read_latency,
    thread_growth,
    turn_cost,
    yearly_growth,
)
from harness.analysis.growth import (
    bytes_at,
    forecast,
    forecast_table,
    growth_lines,
    growth_table,
    kept_at,
    pruning_table,
    turn_costs,
)
from harness.analysis.words import size
from harness.measure.agent_records import Channels, GrowthPoint, PruneGain
from harness.measure.environment import collect
from harness.measure.records import Results, Timing
from harness.measure.running import nothing_yet


def point(turns: int, stored: int, channels: Channels = "plain") -> GrowthPoint:
    """A thread of so many bytes, twice as many on disk among others, and three times in WAL."""
    return GrowthPoint(
        channels=channels,
        durability="async",
        turns=turns,
        rows={"checkpoints": 4 * turns, "checkpoint_blobs": 3 * turns},
        stored_bytes={"checkpoints": stored // 2, "checkpoint_blobs": stored - stored // 2},
        disk_bytes={"checkpoints": 2 * stored, "checkpoint_blobs": 3 * stored},
        wal_bytes=3 * stored,
        disk_factor=2.0,
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
    assert bytes_at(known, 15) == 2_250
    assert bytes_at(known, 20) == 4_000
    assert math.isnan(bytes_at(known, 21))
    assert math.isnan(bytes_at([], 1))


@pytest.mark.parametrize("turns", [1, 7, 30, 111, 199])
def test_a_list_that_is_stored_whole_each_time_is_told_exactly(turns: int) -> None:
    """Bytes that grow with the square of the turns are found between any measured lengths."""

    def simulated(length: int) -> int:
        return sum(4_500 + 280 * turn for turn in range(1, length + 1))

    known = [(length, simulated(length)) for length in (1, 2, 10, 50, 200)]
    assert bytes_at(known, turns) == pytest.approx(simulated(turns), rel=1e-9)


async def test_what_pruning_leaves_is_told_between_measured_lengths() -> None:
    """Kept checkpoints get longer with the thread; beyond the longest nothing is said."""
    [longest] = (await results_of(point(10, 1_000))).pruning
    gains = [longest, replace(longest, turns=20, bytes_after=60_000)]
    assert kept_at(gains, 100) == 100_000
    assert kept_at(gains, 60) == 80_000
    assert math.isnan(kept_at(gains, 101))


async def test_the_forecast_is_a_years_threads() -> None:
    """1,000 turns a day in threads of 10 turns are 36,500 threads a year, with their indexes."""
    results = await results_of(point(10, 1_000_000), point(20, 4_000_000))
    [row] = forecast(results, turns_a_day=1_000, turns_a_thread=10).to_dict("records")
    assert row["disk_gb"] == pytest.approx(36_500 * 2_000_000 / 1e9)
    assert row["wal_gb"] == pytest.approx(36_500 * 3_000_000 / 1e9)
    assert row["pruned_gb"] == pytest.approx(36_500 * 2 * 10_000 / 1e9)
    table = forecast_table(results, turns_a_day=1_000, turns_a_thread=10)
    assert list(table["pruned to 10"]) == [size(1e9 * row["pruned_gb"])]
    assert (
        f"{size(1e9 * row['disk_gb'])} a year"
        in yearly_growth(results, turns_a_day=1_000, turns_a_thread=10).message
    )
    beyond = forecast_table(results, turns_a_day=1_000, turns_a_thread=21)
    assert list(beyond["on disk, a year"]) == list(beyond["pruned to 10"]) == ["not measured"]
    assert "were not measured" in yearly_growth(results, turns_a_thread=21).message


async def test_the_forecast_knows_what_was_not_measured() -> None:
    """Without pruning, or interrupted before the files were weighed, there is no such number."""
    results = await results_of(point(10, 1_000))
    [row] = forecast(replace(results, pruning=[]), turns_a_day=1_000, turns_a_thread=10).to_dict(
        "records"
    )
    assert math.isnan(row["pruned_gb"])
    assert row["disk_gb"] > 0
    interrupted = replace(results, growth=[replace(results.growth[0], disk_factor=None)])
    [row] = forecast(interrupted, turns_a_day=1_000, turns_a_thread=10).to_dict("records")
    assert math.isnan(row["disk_gb"])
    assert row["wal_gb"] > 0


async def test_pruning_never_adds() -> None:
    """A short thread that has nothing to prune takes what it takes, not what a line would say."""
    results = await results_of(point(1, 500), point(10, 5_000))
    [row] = forecast(results, turns_a_day=1_000, turns_a_thread=1).to_dict("records")
    assert row["pruned_gb"] == row["disk_gb"]


async def test_a_turns_cost_is_that_of_the_last_turns() -> None:
    """What turns 11 to 50 added, by table, and not what the first ten did."""
    results = await results_of(point(10, 1_000), point(50, 81_000))
    costs = turn_costs(results).set_index("table")
    assert costs.loc["checkpoints"].to_dict() == {
        "channels": "plain",
        "durability": "async",
        "turns": 50,
        "rows": 4.0,
        "stored_bytes": 1_000.0,
    }
    assert "Turn 50 of a thread adds 2.0 kB in 7 rows" in turn_cost(results).message


async def test_pictures_and_lines_say_what_they_show() -> None:
    """Messages hold the numbers of the longest threads."""
    results = await results_of(point(10, 1_000), point(50, 934_000), point(50, 351_000, "delta"))
    message = thread_growth(results).message
    assert "50 turns takes 934 kB in plain channels and 351 kB in delta channels" in message
    assert "gives back 90% of plain channels" in pruning_gain(results).message
    assert "4.00\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN} the time" in read_latency(results).message
    assert len(growth_table(results)) == 3
    assert len(pruning_table(results)) == 1
    lines = growth_lines(results)
    assert [line.mood for line in lines] == ["plain"] * 4
    [year] = [line.found for line in lines if "turns a day" in line.what]
    [plain, delta] = forecast(results, turns_a_day=10_000, turns_a_thread=20)["disk_gb"]
    expected = f"{size(1e9 * plain)} in plain channels and {size(1e9 * delta)} in delta channels"
    assert year == f"{expected} a year on disk"


async def test_pictures_of_nothing() -> None:
    """Without points there is a sentence in place of a picture."""
    results = await results_of()
    for draw in (thread_growth, turn_cost, read_latency, pruning_gain):
        assert draw(results).message.startswith("No thread was")
    assert growth_lines(results) == []


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12 bytes"), (934_000, "934 kB"), (1.9e6, "1.9 MB"), (6.2e9, "6.2 GB")]
)
def test_sizes_in_words(value: float, text: str) -> None:
    """Bytes are written in the unit that fits."""
    assert size(value) == text
