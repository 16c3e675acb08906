"""Savers on pools of several sizes, and alone: frames, comparisons, a table and lines."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from harness.analysis.frames import pool_frame, ratio_of
from harness.analysis.lines import Line, Mood
from harness.analysis.statistics import (
    NOT_ENOUGH_DATA,
    Estimate,
    median,
    paired_ratio,
    verdict,
)
from harness.analysis.streaming import NEVER_SLOWER
from harness.analysis.targets import Comparison
from harness.analysis.words import counted, milliseconds, times
from harness.measure.names import CHECKPOINTS
from harness.measure.records import PoolCell, Results

SUBJECTS: Final = {
    "memory": "InMemorySaver",
    "ours": "PooledSaver",
    "stock": "AsyncPostgresSaver",
    "floor": "bare psycopg",
}
"""What subjects are called in pictures and tables, in their order."""
ALONE: Final = "conversation"
"""The workload of one conversation without others beside it."""


def saver_frame(results: Results) -> pd.DataFrame:
    """One row per pool and subject: medians over the rounds, and the most connections in use."""
    frame = pool_frame(results)
    frame = frame[frame["mix"] == "checkpoints"]
    grouped = frame.groupby(["pool_size", "subject"])
    return grouped.agg(
        callers=("callers", "max"),
        rounds=("operations", "size"),
        throughput_per_s=("throughput_per_s", "median"),
        busy_share=("busy_share", "median"),
        peak_in_use=("peak_in_use", "max"),
        wait_p50_ms=("wait_p50_ms", "median"),
        wait_p99_ms=("wait_p99_ms", "median"),
    ).reset_index()


def saver_gains(results: Results) -> dict[int, Estimate]:
    """Return, by pool size, the paired ratio of operations a second, ours / stock."""
    sizes = sorted({cell.pool_size for cell in results.pool})
    return {
        size: paired_ratio([ours for ours, _ in pairs], [stock for _, stock in pairs])
        for size in sizes
        if (pairs := _pairs(results.pool, size))
    }


def saver_comparisons(results: Results) -> list[Comparison]:
    """Return one conversation's time beside stock and floor, and what many do on each pool."""
    found = []
    for beside, at_most in (("stock", NEVER_SLOWER), ("floor", None)):
        if ratio := _alone(results, beside):
            found.append(
                Comparison(
                    what=f"time of one conversation: PooledSaver / {SUBJECTS[beside]}",
                    resource="alone",
                    ratio=ratio,
                    at_most=at_most,
                    verdict=verdict(ratio, at_most) if at_most else None,
                )
            )
    callers = max((cell.callers for cell in results.pool), default=0)
    found += [
        Comparison(
            what=f"operations a second, {callers} at once: PooledSaver / AsyncPostgresSaver",
            resource=f"pool of {size}",
            ratio=gain,
            at_most=None,
            verdict=None,
        )
        for size, gain in saver_gains(results).items()
    ]
    return found


def saver_table(results: Results) -> pd.DataFrame:
    """One row per pool and saver, in words."""
    frame = saver_frame(results)
    order = {subject: place for place, subject in enumerate(SUBJECTS)}
    frame = frame.sort_values(
        ["pool_size", "subject"], key=lambda column: column.replace(order), ignore_index=True
    )
    gains = saver_gains(results)
    return pd.DataFrame(
        {
            "connections": frame["pool_size"],
            "saver": frame["subject"].map(SUBJECTS),
            "rounds": frame["rounds"],
            "per second": [f"{rate:,.0f}" for rate in frame["throughput_per_s"]],
            "busy": [f"{share:.0%}" for share in frame["busy_share"]],
            "most in use": frame["peak_in_use"],
            "wait p50": frame["wait_p50_ms"].map(milliseconds),
            "wait p99": frame["wait_p99_ms"].map(milliseconds),
            "ours / stock (95 % interval)": [
                _interval(gains[size]) if subject == "ours" and size in gains else ""
                for size, subject in zip(frame["pool_size"], frame["subject"], strict=True)
            ],
        }
    )


def alone_table(results: Results) -> pd.DataFrame:
    """One row per saver: the time of one operation of a conversation alone."""
    timings = {t.subject: t for t in results.timings if t.workload == ALONE}
    rows = [
        {
            "saver": name,
            "samples": len(timings[subject].samples_s),
            "an operation": milliseconds(
                1_000 * median(timings[subject].samples_s) / timings[subject].operations
            ),
        }
        for subject, name in SUBJECTS.items()
        if subject in timings
    ]
    return pd.DataFrame(rows, columns=["saver", "samples", "an operation"])


def saver_lines(results: Results) -> list[Line]:
    """What a run says of savers: the gain on the largest pool, and one conversation alone."""
    lines = []
    gains = saver_gains(results)
    if gains:
        size = max(gains)
        callers = max(cell.callers for cell in results.pool)
        told = f"{times(gains[size].value)} the operations a second"
        if gains[size].interval is None:
            told += f" ({NOT_ENOUGH_DATA} for an interval)"
        what = f"{counted(callers, 'conversation')}, pool of {size}: ours / stock"
        lines.append(Line(what, told))
    if ratio := _alone(results, "stock"):
        told = verdict(ratio, NEVER_SLOWER)
        mood: Mood = "good" if told == "met" else "bad" if told == "missed" else "plain"
        lines.append(
            Line(
                "one conversation: ours / stock",
                f"{times(ratio.value)} the time, aim \u2264 {NEVER_SLOWER:g}: {told}",
                mood,
            )
        )
    if ratio := _alone(results, "floor"):
        lines.append(
            Line("one conversation: ours / bare psycopg", f"{times(ratio.value)} the time")
        )
    return lines


def _alone(results: Results, beside: str) -> Estimate | None:
    return ratio_of(results, (ALONE, CHECKPOINTS, "ours"), (ALONE, CHECKPOINTS, beside))


def _pairs(cells: Sequence[PoolCell], size: int) -> list[tuple[float, float]]:
    """Operations a second of ours and of stock, round by round; none where one did nothing."""
    ours, stock = (
        [cell.throughput_per_s for cell in cells if (cell.subject, cell.pool_size) == (name, size)]
        for name in ("ours", "stock")
    )
    return [pair for pair in zip(ours, stock, strict=False) if min(pair) > 0]


def _interval(gain: Estimate) -> str:
    if gain.interval is None:
        return f"{times(gain.value)} ({NOT_ENOUGH_DATA})"
    return f"{times(gain.value)} ({gain.interval.low:.2f} to {gain.interval.high:.2f})"
