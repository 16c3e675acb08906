"""How threads grow, as frames, a forecast, tables and lines."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import pandas as pd

from harness.analysis.lines import Line
from harness.analysis.statistics import Estimate, estimate
from harness.analysis.words import counted, listed, size, times
from harness.measure.agent_records import GrowthPoint
from harness.measure.names import CHECKPOINTS
from harness.measure.records import Results

DAYS: Final = 365
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
    """Return the bytes of a thread of so many turns: on the line between measured lengths.

    Args:
        known: Turns and bytes, as measured.
        turns: How long the thread is.

    Returns:
        Bytes; NaN beyond the longest thread that was measured: growth need not be a line there.
    """
    for (shorter, low), (longer, high) in pairwise([(0, 0), *sorted(known)]):
        if shorter <= turns <= longer:
            return low + (high - low) * (turns - shorter) / (longer - shorter)
    return math.nan


def forecast(results: Results, *, turns_a_day: float, turns_a_thread: float) -> pd.DataFrame:
    """Return the gigabytes a year on disk and in WAL, for each kind of thread.

    A year's turns make threads of that length, none of which is pruned or deleted. On disk a row
    takes as much more than its bytes, for indexes and room that is free in pages, as those of the
    longest thread that was measured. WAL is what archives and replicas have to take in. NaN where
    threads of that length were not measured.

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
        rows.append(
            {
                "channels": channels,
                "durability": durability,
                "disk_gb": threads * stored * _disk_factor(points) / 1e9,
                "wal_gb": threads * wal / 1e9,
            }
        )
    return pd.DataFrame(rows, columns=["channels", "durability", "disk_gb", "wal_gb"])


def pruned_forecast(results: Results, *, turns_a_day: float) -> pd.DataFrame:
    """The gigabytes a year, in words, of threads like those that were pruned, with and without it.

    As `forecast`, with LangGraph's default durability.
    """
    factors = {kind: _disk_factor(points) for kind, points in _kinds(results).items()}
    rows = []
    for gain in results.pruning:
        threads = turns_a_day * DAYS / gain.turns
        factor = factors.get((gain.channels, "async"), math.nan)
        rows.append(
            {
                "channels": gain.channels,
                "turns a thread": gain.turns,
                "never pruned": _gigabytes(threads * gain.bytes_before * factor / 1e9),
                f"pruned to {gain.keep_latest}": _gigabytes(
                    threads * gain.bytes_after * factor / 1e9
                ),
            }
        )
    return pd.DataFrame(rows)


def forecast_table(results: Results, *, turns_a_day: float, turns_a_thread: float) -> pd.DataFrame:
    """The forecast in words."""
    found = forecast(results, turns_a_day=turns_a_day, turns_a_thread=turns_a_thread)
    return pd.DataFrame(
        {
            "channels": found["channels"],
            "durability": found["durability"],
            "on disk, a year": [_gigabytes(value) for value in found["disk_gb"]],
            "WAL, a year": [_gigabytes(value) for value in found["wal_gb"]],
        }
    )


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
    return lines + [
        Line(
            f"pruning to {gain.keep_latest} checkpoints, {KINDS[gain.channels]}",
            f"{size(gain.bytes_before)} to {size(gain.bytes_after)}, "
            f"{gain.checkpoints_before:,} checkpoints to {gain.checkpoints_after:,}",
        )
        for gain in results.pruning
    ]


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
    """Bytes on disk over bytes in rows, of the longest thread: of a short one, pages are empty."""
    longest = max(points, key=lambda point: point.turns)
    return sum(longest.disk_bytes.values()) / _stored(longest)


def _gigabytes(value: float) -> str:
    return "not measured" if math.isnan(value) else size(1e9 * value)
