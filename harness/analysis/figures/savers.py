"""Pictures of checkpointers on connection pools."""

from collections.abc import Callable
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from harness.analysis.figures.ratios import ratios_of
from harness.analysis.savers import (
    SUBJECTS,
    saver_comparisons,
    saver_frame,
    saver_gains,
)
from harness.analysis.statistics import NOT_ENOUGH_DATA, significant
from harness.analysis.streaming import NEVER_SLOWER
from harness.analysis.style import (
    BLUE,
    GREY,
    INK,
    VERMILLION,
    Picture,
    nothing,
    picture,
    readable,
    steps_axis,
    styled,
)
from harness.analysis.words import counted, times
from harness.measure.records import PoolCell, Results

NOTHING: Final = "No saver was measured"
_COLOURS: Final = {"floor": GREY, "ours": BLUE, "stock": VERMILLION}


@styled
def saver_throughput(results: Results) -> Picture:
    """Operations a second against the size of the pool: a line for each saver, and the floor."""
    frame = saver_frame(results)
    if frame.empty:
        return nothing(NOTHING)
    dashed = "; dashed is PooledSaver's statements through bare psycopg"
    figure = picture(
        throughput_message(results),
        f"Operations a second of {counted(_callers(frame), 'conversation')} at once, against "
        "connections in the pool. A dot is a round, the line their median"
        f"{dashed if 'floor' in set(frame['subject']) else ''}.",
        height_in=3.5,
    )
    axes = figure.subplots()
    for subject, colour in _COLOURS.items():
        _rounds(axes, results, subject, colour, lambda cell: cell.throughput_per_s)
        _line(axes, frame, subject, colour, "throughput_per_s")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylabel("operations per second")
    axes.grid(axis="y")
    steps_axis(axes, frame["pool_size"], "connections in the pool")
    return figure


@styled
def saver_connections(results: Results) -> Picture:
    """How many connections each saver uses at the same time, and how busy the pool is."""
    frame = saver_frame(results)
    frame = frame[frame["subject"].isin(["ours", "stock"])]
    if frame.empty:
        return nothing(NOTHING)
    figure = picture(
        connections_message(results),
        f"{counted(_callers(frame), 'conversation')} at once, against connections in the pool. "
        "Left: the most that were in use at the same time; dotted is the whole pool. Right: share "
        "of all connections' time in the saver's hands.",
        height_in=3.1,
    )
    left, right = figure.subplots(1, 2)
    sizes = sorted(set(frame["pool_size"]))
    left.plot(sizes, sizes, color=INK, linewidth=1, linestyle=(0, (1, 2)))
    for subject in ("ours", "stock"):
        _line(left, frame, subject, _COLOURS[subject], "peak_in_use", named=False)
        _line(right, frame, subject, _COLOURS[subject], "busy_share")
    left.set_title("most connections in use")
    left.set_ylim(0, max(sizes) * 1.08)
    left.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    right.set_title("busy share of the pool")
    right.set_ylim(0, 1.05)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (left, right):
        axes.grid(axis="y")
        steps_axis(axes, frame["pool_size"], "connections in the pool")
    return figure


def saver_ratios(results: Results) -> Picture:
    """Ours beside stock and floor: the time of one conversation, and what many do on each pool."""
    return ratios_of(saver_comparisons(results), alone_message(results))


def throughput_message(results: Results) -> str:
    """Say what ours does beside the stock saver on the largest pool."""
    gains = saver_gains(results)
    if not gains:
        return NOTHING
    size = max(gains)
    gain = gains[size]
    many = f"{counted(_callers(saver_frame(results)), 'conversation')} on a pool of {size}"
    told = f"PooledSaver does {times(gain.value)} the operations of AsyncPostgresSaver"
    if gain.interval is None:
        return f"{many}: {told}, with {NOT_ENOUGH_DATA} for an interval"
    if gain.interval.low <= 1 <= gain.interval.high:
        return f"{many}: no difference between the savers can be told ({times(gain.value)})"
    low, high = (significant(end, 2) for end in (gain.interval.low, gain.interval.high))
    return f"{many}: {told} ({low} to {high})"


def connections_message(results: Results) -> str:
    """Say how many connections each of the savers ever used at the same time."""
    frame = saver_frame(results)
    peaks = frame.groupby("subject")["peak_in_use"].max()
    parts = []
    if "stock" in peaks.index:
        stock = int(peaks["stock"])
        parts.append(
            "AsyncPostgresSaver never uses a second connection"
            if stock == 1
            else f"AsyncPostgresSaver uses {counted(stock, 'connection')} at most"
        )
    ours = frame[frame["subject"] == "ours"]
    if len(ours):
        largest = ours.sort_values("pool_size").iloc[-1]
        parts.append(
            f"PooledSaver uses {int(largest['peak_in_use'])} of {int(largest['pool_size'])}"
        )
    return "; ".join(parts) or NOTHING


def alone_message(results: Results) -> str:
    """Say what one conversation alone takes on ours, beside stock and the floor."""
    alone = [row for row in saver_comparisons(results) if row.resource == "alone"]
    if not alone:
        return NOTHING
    parts = [
        f"{times(row.ratio.value)} the time of {row.what.rpartition(' / ')[2]}" for row in alone
    ]
    found = f"One conversation on PooledSaver takes {' and '.join(parts)}"
    missed = any(row.verdict == "missed" for row in alone)
    return f"{found}: slower than the {NEVER_SLOWER:g} it may take" if missed else found


def _rounds(
    axes: Axes,
    results: Results,
    subject: str,
    colour: str,
    value: Callable[[PoolCell], float],
) -> None:
    cells = [c for c in results.pool if c.subject == subject and c.mix == "checkpoints"]
    axes.scatter(
        [cell.pool_size for cell in cells],
        [value(cell) for cell in cells],
        s=10,
        color=colour,
        alpha=0.35,
        linewidths=0,
    )


def _line(
    axes: Axes, frame: pd.DataFrame, subject: str, colour: str, column: str, *, named: bool = True
) -> None:
    """A line through the medians, with the subject's name at its right end."""
    here = frame[frame["subject"] == subject].sort_values("pool_size")
    if here.empty:
        return
    floor = subject == "floor"
    axes.plot(
        here["pool_size"].to_numpy(),
        here[column].to_numpy(),
        color=colour,
        marker="" if floor else "o",
        markersize=5,
        linestyle=(0, (3, 1.5)) if floor else "solid",
    )
    if named:
        axes.annotate(
            SUBJECTS[subject],
            (float(here["pool_size"].iloc[-1]), float(here[column].iloc[-1])),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=readable(colour),
            annotation_clip=False,
        )


def _callers(frame: pd.DataFrame) -> int:
    return int(frame["callers"].max())
