"""Pictures of a connection pool at work."""

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from harness.analysis.frames import pool_frame
from harness.analysis.statistics import significant
from harness.analysis.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    SKY,
    VERMILLION,
    Picture,
    bare,
    log_axis,
    nothing,
    picture,
    readable,
    steps_axis,
    styled,
)
from harness.analysis.words import counted, milliseconds, tick_ms
from harness.measure.records import Mix, PoolCell, Results

_LEAST_WAIT_MS: Final = 0.01
"""Shorter waits are drawn here: below it the clock and the event loop are what is measured."""
NOTHING: Final = "No pool was measured"
_MIXES: Final[dict[str, str]] = {"creates": "only creates", "mixed": "reads and writes"}


@styled
def saturation(results: Results) -> Picture:
    """Throughput against concurrent callers: a line for each pool size, and memory's."""
    frame = pool_frame(results)
    frame = frame[frame["throughput_per_s"] > 0]  # a logarithmic scale has no place for none
    mixes = [mix for mix in _MIXES if mix in set(frame["mix"])]
    if not mixes:
        return nothing(NOTHING)
    figure = picture(
        saturation_message(frame),
        "Operations a second against concurrent callers; both scales are logarithmic.",
        height_in=3.7,
    )
    panels = _panels(figure, len(mixes))
    for axes, mix in zip(panels, mixes, strict=False):
        here = frame[frame["mix"] == mix]
        axes.set_title(_MIXES[mix])
        sizes = _sizes(here)
        ends: list[tuple[float, str, str]] = []
        for size, colour in zip(sizes, _shades(len(sizes)), strict=True):
            ends.append(_line(axes, _of_size(here, size), colour, counted(size, "connection")))
        floor = here[(here["subject"] == "floor") & (here["pool_size"] == max(sizes, default=0))]
        if len(floor):
            label = f"{max(sizes)}, bare psycopg"
            ends.append(_line(axes, floor, GREY, label, dashed=True))
        memory = here[here["subject"] == "memory"]
        if len(memory):
            ends.append(_line(axes, memory, ORANGE, "memory"))
        rates = frame["throughput_per_s"]
        log_axis(axes.yaxis, float(rates.min()) / 1.3, float(rates.max()) * 1.3, "{:,.0f}".format)
        _callers_axis(axes, here)
        _label_ends(axes, ends, float(here["callers"].max()))
    panels[0].set_ylabel("operations per second")
    return figure


@styled
def waits(results: Results, mix: Mix = "creates") -> Picture:
    """What callers waited for a connection: p50, p95 and p99, a panel for each pool size."""
    frame = pool_frame(results)
    frame = frame[(frame["mix"] == mix) & (frame["subject"] == "postgres")]
    sizes = _sizes(frame)
    if not sizes:
        return nothing(NOTHING)
    figure = picture(
        waits_message(frame),
        f"Wait for a connection ({_MIXES[mix]}) against concurrent callers, by size of the pool; "
        f"waits under {milliseconds(_LEAST_WAIT_MS)} lie at the bottom. Dotted: as many callers "
        "as connections.",
        height_in=3.2,
    )
    panels = _panels(figure, len(sizes))
    for axes, size in zip(panels, sizes, strict=False):
        here = _of_size(frame, size)
        axes.set_title(counted(size, "connection"))
        ends = []
        for name, colour in (("p99", VERMILLION), ("p95", SKY), ("p50", BLUE)):
            ends.append(
                _line(axes, here, colour, name, column=f"wait_{name}_ms", least=_LEAST_WAIT_MS)
            )
        axes.axvline(size, color=GREY, linewidth=1, linestyle=(0, (2, 3)), zorder=0)
        longest_ms = max(float(frame["wait_p99_ms"].max()), 1.0)
        log_axis(axes.yaxis, _LEAST_WAIT_MS * 0.7, longest_ms * 1.5, tick_ms)
        _callers_axis(axes, here, most=3)
        if axes is panels[len(sizes) - 1]:
            _label_ends(axes, ends, float(here["callers"].max()))
    panels[0].set_ylabel("wait")
    return figure


@styled
def busy_share(results: Results, mix: Mix = "creates") -> Picture:
    """How much of the connections' time was used, for each pool size and number of callers."""
    frame = pool_frame(results)
    frame = frame[(frame["mix"] == mix) & (frame["subject"] == "postgres")]
    if frame.empty:
        return nothing(NOTHING)
    table = frame.pivot_table(
        index="pool_size", columns="callers", values="busy_share", aggfunc="median"
    )
    figure = picture(
        busy_message(table),
        f"Share of the connections' time in callers' hands ({_MIXES[mix]}): 100% means that "
        "every connection is always in use, and whoever comes next must queue.",
        height_in=len(table) * 0.5 + 0.75,
    )
    axes = figure.subplots()
    bare(axes)
    colours = mpl.colormaps["Blues"]
    for y in range(len(table.index)):
        for x in range(len(table.columns)):
            share = float(table.to_numpy()[y, x])
            if np.isnan(share):
                continue
            colour = colours(0.06 + 0.84 * min(share, 1.0))
            axes.add_patch(
                mpl.patches.Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour)
            )
            dark = sum(to_rgb(colour)) < 1.7
            axes.text(
                x,
                y,
                f"{share:.0%}",
                ha="center",
                va="center",
                color="white" if dark else INK,
                fontsize=10,
            )
    axes.set(xlim=(-0.5, len(table.columns) - 0.5), ylim=(len(table) - 0.5, -0.5))
    axes.set_xticks(range(len(table.columns)), [f"{c:,}" for c in table.columns])
    axes.set_yticks(range(len(table)), [f"{size:,}" for size in table.index])
    axes.set_xlabel("concurrent callers")
    axes.set_ylabel("connections in the pool")
    return figure


@styled
def pool_timeline(
    results: Results, *, pool_size: int | None = None, mix: Mix = "creates"
) -> Picture:
    """One cell over time: connections in use above, callers in the queue below.

    Args:
        results: Of kind `pool`.
        pool_size: Which pool; by default the one nearest to 10 connections.
        mix: What the callers did.
    """
    cell = _cell(results.pool, pool_size, mix)
    if cell is None:
        return nothing(NOTHING)
    time_ms, in_use, queued = (
        np.array(values, dtype=float) for values in zip(*cell.timeline, strict=True)
    )
    time_ms = time_ms * 1_000
    figure = picture(
        timeline_message(cell),
        f"{counted(cell.callers, 'caller')} on {counted(cell.pool_size, 'connection')} "
        f"({_MIXES[cell.mix]}), as it went. The dotted line is the size of the pool.",
        height_in=3.3,
    )
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    for axes, values, colour, title in (
        (above, in_use, BLUE, "connections in use"),
        (below, queued, ORANGE, "callers queued"),
    ):
        axes.fill_between(time_ms, values, step="post", color=colour, alpha=0.35, linewidth=0)
        axes.step(time_ms, values, where="post", color=colour, linewidth=1.1)
        axes.set_title(title, color=readable(colour))
        axes.set_ylim(0, max(float(values.max()) * 1.15, 1))
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=4, integer=True))
        axes.grid(axis="y")
    above.axhline(cell.pool_size, color=INK, linewidth=1, linestyle=(0, (1, 2)))
    above.set_ylim(0, cell.pool_size * 1.2)
    below.set_xlim(0, float(time_ms.max()))
    below.set_xlabel("time (ms)")
    return figure


def saturation_message(frame: pd.DataFrame) -> str:
    """Say where more connections stop helping."""
    creates = frame[
        (frame["mix"] == "creates")
        & (frame["subject"] == "postgres")
        & (frame["throughput_per_s"] > 0)
    ]
    if creates.empty:
        return NOTHING
    best = creates.groupby("pool_size")["throughput_per_s"].max()
    peak_size = int(best.index[best == best.max()][0])
    enough = int(best.index[best >= 0.9 * best.max()].min())
    single = int(best.index.min())
    verb = "reaches" if enough == 1 else "reach"
    message = (
        f"{counted(enough, 'connection')} {verb} {_rate(float(best[enough]))} creates a second"
    )
    if enough > single:
        gain = float(best[enough] / best[single])
        message += f", {significant(gain, 2)} times what {single} does"
    if peak_size > enough:
        gain = float(best[peak_size] / best[enough]) - 1
        message += f"; {peak_size} add {gain:.0%}"
    elif int(best.index.max()) > enough:
        message += "; more add nothing"
    return message


def waits_message(frame: pd.DataFrame) -> str:
    """Say what the slowest callers wait at the highest load, on the smallest and largest pool."""
    if frame.empty:
        return NOTHING
    most = frame[frame["callers"] == frame["callers"].max()]
    p99 = most.groupby("pool_size")["wait_p99_ms"].median()
    callers = int(frame["callers"].max())
    small, large = int(p99.index.min()), int(p99.index.max())
    message = (
        f"With {counted(callers, 'caller')}, 99 of 100 get a connection within "
        f"{milliseconds(float(p99[large]))} on a pool of {large}"
    )
    if small != large:
        message += f", within {milliseconds(float(p99[small]))} on {small}"
    watched_ms = float(most["duration_s"].min()) * 1_000
    if float(p99.max()) > watched_ms / 2:
        message += f" (watched for {milliseconds(watched_ms)}: longer waits are not seen)"
    return message


def busy_message(table: pd.DataFrame) -> str:
    """Say from how many callers on the pools are used up."""
    if table.empty:
        return NOTHING
    full = [
        (int(size), next((int(c) for c in table.columns if table.loc[size, c] >= 0.9), None))
        for size in table.index
    ]
    size, callers = full[-1]
    if callers is not None:
        return f"The pool of {size} is used up by {counted(callers, 'concurrent caller')}"
    top = float(table.to_numpy()[-1].max())
    return f"The pool of {size} is never used up: its connections are busy {top:.0%} at most"


def timeline_message(cell: PoolCell) -> str:
    """Say how full the pool was and how long the queue grew."""
    longest = max(queued for _, _, queued in cell.timeline)
    if not longest:
        return f"The pool of {cell.pool_size} is {cell.busy_share:.0%} busy, and nobody waits"
    return (
        f"The pool of {cell.pool_size} is {cell.busy_share:.0%} busy, and at most "
        f"{counted(longest, 'caller')} {'waits' if longest == 1 else 'wait'} in the queue"
    )


def _panels(figure: Picture, count: int) -> list[Axes]:
    return list(np.atleast_1d(figure.subplots(1, count, sharey=True)))


def _sizes(frame: pd.DataFrame) -> list[int]:
    return sorted(int(size) for size in frame["pool_size"].unique() if size > 0)


def _of_size(frame: pd.DataFrame, size: int) -> pd.DataFrame:
    return frame[(frame["pool_size"] == size) & (frame["subject"] == "postgres")]


def _shades(count: int) -> list[str]:
    """Light to dark blue: more connections, more ink."""
    colours = mpl.colormaps["Blues"]
    return [mpl.colors.to_hex(colours(x)) for x in np.linspace(0.42, 0.98, max(count, 1))][:count]


def _line(
    axes: Axes,
    frame: pd.DataFrame,
    colour: str,
    label: str,
    *,
    column: str = "throughput_per_s",
    least: float = 0.0,
    dashed: bool = False,
) -> tuple[float, str, str]:
    values = frame.groupby("callers")[column].median().clip(lower=least)
    axes.plot(
        values.index,
        values,
        color=colour,
        linestyle=(0, (3, 1.5)) if dashed else "solid",
        marker="" if dashed else "o",
        markersize=4,
    )
    return (float(values.iloc[-1]) if len(values) else np.nan, label, colour)


def _callers_axis(axes: Axes, frame: pd.DataFrame, *, most: int = 5) -> None:
    """A logarithmic axis with ticks at the numbers of callers that were measured, not too many."""
    measured = sorted({int(c) for c in frame["callers"]})
    callers = measured[-1:]
    for c in reversed(measured[:-1]):  # from the right, where they are densest
        if np.log(callers[-1] / c) >= np.log(measured[-1] / measured[0]) / most:
            callers.append(c)
    steps_axis(axes, callers, "concurrent callers")


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], x: float) -> None:
    """Name each line at its right end, pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    height = np.log10(high / low)
    gap = height * 0.062
    placed: list[float] = []
    for value, label, colour in sorted((end for end in ends if end[0] > 0), key=lambda e: e[0]):
        y = np.log10(value)
        if placed:
            y = max(y, placed[-1] + gap)
        placed.append(float(y))
        axes.annotate(
            label,
            (x, 10**y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=readable(colour),
            annotation_clip=False,
        )


def _cell(cells: Sequence[PoolCell], pool_size: int | None, mix: Mix) -> PoolCell | None:
    """The cell to show: the wanted or usual pool, with the callers that make it queue most."""
    fitting = [c for c in cells if c.mix == mix and c.timeline and c.subject == "postgres"]
    if not fitting:
        return None
    wanted = pool_size or min({c.pool_size for c in fitting}, key=lambda size: abs(size - 10))
    return max((c for c in fitting if c.pool_size == wanted), key=lambda c: c.callers, default=None)


def _rate(value: float) -> str:
    return significant(value, 2)
