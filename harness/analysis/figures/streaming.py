"""Pictures of streamed turns: what a user waits for, on each checkpointer."""

from typing import Final

import pandas as pd
from matplotlib.axes import Axes

from harness.analysis.figures.ratios import draw_ratio, ratios_of
from harness.analysis.statistics import TIMES
from harness.analysis.streaming import (
    AT_LEAST,
    MOMENTS,
    SUBJECTS,
    Moment,
    slower_cells,
    slower_message,
    stream_comparisons,
    streaming_frame,
    throughput,
)
from harness.analysis.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    Picture,
    log_axis,
    named_rows,
    nothing,
    picture,
    steps_grid,
    styled,
)
from harness.analysis.words import counted, listed, milliseconds, tick_ms, times
from harness.measure.records import Results

NOTHING: Final = "No turn was streamed"
_COLOURS: Final = {"none": GREY, "memory": ORANGE, "ours": BLUE, "stock": VERMILLION}
_ENDS: Final[dict[Moment, str]] = {"first_token": "first token", "total": "end of the turn"}
_VERDICTS: Final = {"met": GREEN, "missed": VERMILLION}


@styled
def turn_times(results: Results, moment: Moment = "total") -> Picture:
    """Median and 95 % quantile against conversations at once, by network and durability."""
    frame = streaming_frame(results)
    if frame.empty:
        return nothing(NOTHING)
    networks = sorted(set(frame["network_ms"]))
    durabilities = list(dict.fromkeys(frame["durability"]))
    figure = picture(
        turn_message(frame, moment),
        f"Time to the {_ENDS[moment]} against conversations at once: median, and a pale band up to "
        "the 95 % quantile. Both scales are logarithmic.",
        height_in=0.45 + 2.1 * len(durabilities),
    )
    panels = figure.subplots(
        len(durabilities), len(networks), squeeze=False, sharex=True, sharey=True
    )
    low = float(frame[f"{moment}_p50_ms"].min())
    high = float(frame[f"{moment}_p95_ms"].max())
    for row, durability in enumerate(durabilities):
        for column, network_ms in enumerate(networks):
            axes = panels[row, column]
            here = frame[(frame["durability"] == durability) & (frame["network_ms"] == network_ms)]
            away = f"{network_ms:g} ms away" if network_ms else "near"
            axes.set_title(f"{durability}, {away}")
            log_axis(axes.yaxis, low / 1.3, high * 1.3, tick_ms)
            steps_grid(axes, frame["conversations"])
            for subject in SUBJECTS:
                _line(axes, here[here["subject"] == subject], subject, moment)
    for axes in panels[-1]:
        axes.set_xlabel("conversations at once")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    panels[0, 0].legend(handles, labels, frameon=False, fontsize=9, loc="upper left")
    return figure


def turn_message(frame: pd.DataFrame, moment: Moment) -> str:
    """Say what the most conversations wait for on each saver, where the database is far away."""
    far = frame[frame["network_ms"] == frame["network_ms"].max()]
    most = far[far["conversations"] == far["conversations"].max()]
    if most.empty:
        return NOTHING
    durability = most["durability"].iloc[0]
    waits = most[most["durability"] == durability].set_index("subject")[f"{moment}_p50_ms"]
    parts = [
        f"{milliseconds(float(waits[subject]))} on {name}"
        for subject, name in SUBJECTS.items()
        if subject in waits.index
    ]
    away = f", {far['network_ms'].iloc[0]:g} ms away" if far["network_ms"].iloc[0] else ""
    many = counted(int(most["conversations"].iloc[0]), "conversation")
    return f"{MOMENTS[moment].capitalize()} of {many} at once{away}: {listed(parts)}"


def stream_ratios(results: Results) -> Picture:
    """Ours / stock, cell by cell: nowhere should the whole interval lie above the tick."""
    found = stream_comparisons(results)
    return ratios_of(found, stream_ratio_message(results))


def stream_ratio_message(results: Results) -> str:
    """Say whether ours is anywhere slower than stock."""
    found = stream_comparisons(results)
    if not found:
        return NOTHING
    if slower := slower_cells(results):
        return f"PooledSaver is clearly slower than AsyncPostgresSaver {slower_message(slower)}"
    if all(row.verdict == "not enough data" for row in found):
        return f"There is not enough data to judge {counted(len(found), 'comparison')}"
    faster = sum(row.ratio.interval is not None and row.ratio.interval.high < 1 for row in found)
    return (
        "PooledSaver is nowhere clearly slower than AsyncPostgresSaver, and faster in "
        f"{faster} of {counted(len(found), 'comparison')}"
    )


@styled
def far_throughput(results: Results) -> Picture:
    """Turns a second of ours as multiples of stock's, most at once and far away, by durability."""
    found = throughput(results)
    if not found:
        return nothing("No turn was streamed over a slow network")
    figure = picture(
        throughput_message(results),
        f"Turns a second, PooledSaver / AsyncPostgresSaver, on a pool of {found[0][0].pool_size}: "
        "median over rounds taken side by side, with its 95 % interval. The tick is the target.",
        height_in=0.55 + 0.4 * len(found),
    )
    axes = figure.subplots()
    most = AT_LEAST
    for y, (_, ratio, told) in enumerate(found):
        colour = _VERDICTS.get(told, GREY)
        most = max(most, *ratio.ends)
        draw_ratio(axes, y, ratio, colour, f"   {told} (\u2265 {AT_LEAST:g})", tick=AT_LEAST)
    axes.axvline(1, color=GREY, linewidth=1, linestyle=(0, (2, 3)), zorder=0)
    named_rows(axes, [cell.durability for cell, _, _ in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(0, most * 1.1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} {TIMES}")
    axes.grid(axis="x")
    return figure


def throughput_message(results: Results) -> str:
    """Say how many times the stock saver's turns ours answers."""
    found = throughput(results)
    cell = found[0][0]
    parts = [f"{times(ratio.value)} with {one.durability}" for one, ratio, _ in found]
    return (
        f"{counted(cell.conversations, 'conversation')} {cell.network_ms:g} ms away: PooledSaver's "
        f"turns a second are {listed(parts)} the stock saver's"
    )


def _line(axes: Axes, here: pd.DataFrame, subject: str, moment: Moment) -> None:
    if here.empty:
        return
    colour = _COLOURS[subject]
    here = here.sort_values("conversations")
    x = here["conversations"].to_numpy()
    middle = here[f"{moment}_p50_ms"].to_numpy()
    axes.fill_between(
        x, middle, here[f"{moment}_p95_ms"].to_numpy(), color=colour, alpha=0.12, linewidth=0
    )
    axes.plot(x, middle, marker="o", markersize=4, color=colour, label=SUBJECTS[subject])
