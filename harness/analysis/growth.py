"""How threads grow, as frames, a forecast, tables and lines."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import pandas as pd

from harness.analysis.lines import Line
from harness.analysis.statistics import Estimate, estimate
from harness.analysis.words import counted, listed, size, times
from harness.measure.agent_records import GrowthPoint, PruneGain
from harness.measure.names import CHECKPOINTS
from harness.measure.records import Results

DAYS: Final = 365
TURNS_A_DAY: Final = 10_000
TURNS_A_THREAD: Final = 20
"""What a forecast is made for by default."""
KINDS: Final = {"plain": "plain channels", "delta": "delta channels"}
"""What kinds of channels are called in pictures and tables."""
READS: Final = {"state": "state", "history_10": "history of 10"}
"""What is read of long threads."""


def growth_frame(results: Results) -> pd.DataFrame:
    """One row per thread and number of turns: rows, and bytes in the table, on disk and in WAL."""
    rows = [
        {
            "channels": point.channels,
            "durability": point.durability,
            "turns": point.turns,
            "rows": sum(point.rows.values()),
            **{f"rows_{name}": count for name, count in point.rows.items()},
            "stored_bytes": sum(point.stored_bytes.values()),
            "disk_bytes": sum(point.disk_bytes.values()),
            "wal_bytes": point.wal_bytes,
        }
        for point in results.growth
    ]
    return pd.DataFrame(rows)


def read_estimates(results: Results) -> list[tuple[str, str, int, Estimate]]:
    """Return call, channels, checkpoints and milliseconds of every read of a long thread."""
    found = []
    for timing in results.timings:
        call, at, checkpoints = timing.workload.rpartition("_at_")
        if timing.resource == CHECKPOINTS and at:
            ms = estimate([1_000 * seconds for seconds in timing.samples_s])
            found.append((call, timing.subject, int(checkpoints), ms))
    return found


def bytes_at(known: Sequence[tuple[int, int]], turns: float) -> float:
    """Return the bytes of a thread of so many turns, between measured lengths.

    What a turn takes on average is read from the line between the two lengths beside it. That is
    exact where each turn takes more than the one before by always as much, as in a plain channel,
    which stores a list that grows evenly. (A line between the bytes themselves tells too much.)

    Args:
        known: Turns and bytes, as measured.
        turns: How long the thread is.

    Returns:
        Bytes; NaN beyond the longest thread that was measured: there nothing is known.
    """
    means = [(length, size_bytes / length) for length, size_bytes in sorted(known)]
    return turns * _between([(0, means[0][1]), *means], turns) if means else math.nan


def kept_at(gains: Sequence[PruneGain], turns: float) -> float:
    """Return the bytes that pruning leaves of a thread of so many turns, between measured lengths.

    What stays is a number of checkpoints that each hold the thread's messages: about a line in its
    turns. Where a delta channel's list is stored whole it falls; between measured lengths that is
    not seen. NaN beyond the longest thread that was pruned.
    """
    return _between([(0, 0), *sorted((gain.turns, gain.bytes_after) for gain in gains)], turns)


def forecast(results: Results, *, turns_a_day: float, turns_a_thread: float) -> pd.DataFrame:
    """Return the gigabytes a year on disk and in WAL, for each kind of thread.

    A year's turns make threads of that length, and none is deleted. `disk_gb` is what they take if
    none is pruned either, `pruned_gb` if each is pruned once it is over (measured with LangGraph's
    default durability only): the room of what goes is not given back to the disk, but taken by the
    next threads once it is vacuumed. On disk a row takes as much more than its bytes, for indexes
    and room that is free in pages, as those of many threads that were held at once (`disk_factor`).
    WAL is what archives and replicas have to take in. NaN where threads of that length were not
    measured.

    Args:
        results: What was measured.
        turns_a_day: Of all users together.
        turns_a_thread: How long their threads get.
    """
    threads = turns_a_day * DAYS / turns_a_thread
    rows = []
    for (channels, durability), points in _kinds(results).items():
        stored = bytes_at([(p.turns, _stored(p)) for p in points], turns_a_thread)
        wal = bytes_at([(p.turns, p.wal_bytes) for p in points], turns_a_thread)
        gains = [
            one for one in results.pruning if (one.channels, "async") == (channels, durability)
        ]
        kept = min(stored, kept_at(gains, turns_a_thread)) if gains else math.nan
        on_disk = threads * _disk_factor(points) / 1e9
        rows.append(
            {
                "channels": channels,
                "durability": durability,
                "disk_gb": on_disk * stored,
                "pruned_gb": on_disk * kept,
                "wal_gb": threads * wal / 1e9,
            }
        )
    names = ["channels", "durability", "disk_gb", "pruned_gb", "wal_gb"]
    return pd.DataFrame(rows, columns=names)


def forecast_table(results: Results, *, turns_a_day: float, turns_a_thread: float) -> pd.DataFrame:
    """The forecast in words."""
    found = forecast(results, turns_a_day=turns_a_day, turns_a_thread=turns_a_thread)
    keep = max((gain.keep_latest for gain in results.pruning), default=0)
    return pd.DataFrame(
        {
            "channels": found["channels"],
            "durability": found["durability"],
            "on disk, a year": [_gigabytes(value) for value in found["disk_gb"]],
            f"pruned to {keep}": [_gigabytes(value) for value in found["pruned_gb"]],
            "WAL, a year": [_gigabytes(value) for value in found["wal_gb"]],
        }
    )


def turn_costs(results: Results) -> pd.DataFrame:
    """One row per kind of thread and table: what a turn adds at the end of the longest thread.

    `rows` and `stored_bytes` are those of one turn, on average since the length measured before;
    `turns` says up to which.
    """
    rows = []
    for (channels, durability), points in _kinds(results).items():
        *_, last = ordered = sorted(points, key=lambda point: point.turns)
        before = ordered[-2] if len(ordered) > 1 else None
        added = last.turns - (before.turns if before else 0)
        rows += [
            {
                "channels": channels,
                "durability": durability,
                "turns": last.turns,
                "table": table,
                "rows": (count - (before.rows[table] if before else 0)) / added,
                "stored_bytes": (
                    last.stored_bytes[table] - (before.stored_bytes[table] if before else 0)
                )
                / added,
            }
            for table, count in last.rows.items()
        ]
    names = ["channels", "durability", "turns", "table", "rows", "stored_bytes"]
    return pd.DataFrame(rows, columns=names)


def turn_message(frame: pd.DataFrame) -> str:
    """Say what the last turn of a long thread adds with each kind of channels."""
    durability = "async" if "async" in set(frame["durability"]) else frame["durability"].iloc[0]
    here = frame[frame["durability"] == durability]
    parts = []
    for channels, words in KINDS.items():
        added = here[here["channels"] == channels]
        if len(added):
            rows, stored = float(added["rows"].sum()), float(added["stored_bytes"].sum())
            parts.append(f"{size(stored)} in {rows:.0f} rows with {words}")
    return f"Turn {int(here['turns'].max())} of a thread adds {listed(parts)} ({durability})"


def growth_table(results: Results) -> pd.DataFrame:
    """One row per thread and number of turns, in words; the last three columns are a turn's."""
    frame = growth_frame(results)
    if frame.empty:
        return frame
    names = [name for name in frame.columns if name.startswith("rows_")]
    shown = frame[["channels", "durability", "turns"]].copy()
    for name in names:
        shown[name.removeprefix("rows_")] = frame[name]
    for name, words in (
        ("stored_bytes", "stored"),
        ("disk_bytes", "on disk"),
        ("wal_bytes", "WAL"),
    ):
        shown[words] = frame[name].map(size)
        shown[f"{words} a turn"] = (frame[name] / frame["turns"]).map(size)
    return shown


def pruning_table(results: Results) -> pd.DataFrame:
    """What pruning a long thread gave back, in words."""
    return pd.DataFrame(
        [
            {
                "channels": gain.channels,
                "turns": gain.turns,
                "asked to keep": gain.keep_latest,
                "checkpoints": f"{gain.checkpoints_before:,} to {gain.checkpoints_after:,}",
                "rows": f"{gain.rows_before:,} to {gain.rows_after:,}",
                "stored": f"{size(gain.bytes_before)} to {size(gain.bytes_after)}",
                "given back": f"{1 - gain.bytes_after / gain.bytes_before:.0%}",
            }
            for gain in results.pruning
        ]
    )


def growth_lines(results: Results) -> list[Line]:
    """What a run says of growth: the longest threads, and what pruning gave back."""
    frame = growth_frame(results)
    lines = []
    for channels, words in KINDS.items():
        here = frame[frame["channels"] == channels] if len(frame) else frame
        if len(here):
            longest = here[here["turns"] == here["turns"].max()].iloc[0]
            lines.append(
                Line(
                    f"a thread of {counted(int(longest['turns']), 'turn')}, {words}, "
                    f"{longest['durability']}",
                    f"{size(longest['stored_bytes'])} in {int(longest['rows']):,} rows, "
                    f"{size(longest['wal_bytes'])} of WAL",
                )
            )
    lines += _forecast_line(results)
    return lines + [
        Line(
            f"pruning {counted(gain.turns, 'turn')} to {gain.keep_latest} checkpoints, "
            f"{KINDS[gain.channels]}",
            f"{size(gain.bytes_before)} to {size(gain.bytes_after)}, "
            f"{gain.checkpoints_before:,} checkpoints to {gain.checkpoints_after:,}",
        )
        for gain in longest_pruned(results)
    ]


def _forecast_line(results: Results) -> list[Line]:
    """The year that the notebook shows, where threads that long were measured."""
    found = forecast(results, turns_a_day=TURNS_A_DAY, turns_a_thread=TURNS_A_THREAD)
    parts = [
        f"{_gigabytes(row['disk_gb'])} in {KINDS[row['channels']]}"
        for row in found[found["durability"] == "async"].to_dict("records")
        if not math.isnan(row["disk_gb"])
    ]
    what = f"{TURNS_A_DAY:,} turns a day in threads of {TURNS_A_THREAD}, async"
    return [Line(what, f"{listed(parts)} a year on disk")] if parts else []


def longest_pruned(results: Results) -> list[PruneGain]:
    """What pruning gave back of the longest threads, plain before delta."""
    most = max((gain.turns for gain in results.pruning), default=0)
    return [gain for gain in results.pruning if gain.turns == most]


def read_message(results: Results) -> str:
    """Say how much longer the newest state takes on the longest threads than on the shortest."""
    states = [one for one in read_estimates(results) if one[0] == "state"]
    few, many = min(one[2] for one in states), max(one[2] for one in states)
    medians = {(channels, checkpoints): ms.value for _, channels, checkpoints, ms in states}
    parts = [
        f"{times(medians[kind, many] / medians[kind, few])} the time in {words}"
        for kind, words in KINDS.items()
        if (kind, few) in medians and (kind, many) in medians
    ]
    return f"From {few:,} to {many:,} checkpoints, a state takes {listed(parts)}"


def _kinds(results: Results) -> dict[tuple[str, str], list[GrowthPoint]]:
    kinds: dict[tuple[str, str], list[GrowthPoint]] = {}
    for point in results.growth:
        kinds.setdefault((point.channels, point.durability), []).append(point)
    return kinds


def _stored(point: GrowthPoint) -> int:
    return sum(point.stored_bytes.values())


def _disk_factor(points: Sequence[GrowthPoint]) -> float:
    """Bytes on disk over stored bytes; NaN where the measurement ended before that was seen."""
    factors = [point.disk_factor for point in points if point.disk_factor is not None]
    return factors[-1] if factors else math.nan


def _between(known: Sequence[tuple[int, float]], at: float) -> float:
    """The value on the line between the two known places beside it; NaN outside of them."""
    for (left, low), (right, high) in pairwise(known):
        if left <= at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return math.nan


def _gigabytes(value: float) -> str:
    return "not measured" if math.isnan(value) else size(1e9 * value)
