"""Pictures of LangGraph's stores and ours: answers, times, and what callers do to one another."""

from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from harness.analysis.frames import timings_frame
from harness.analysis.statistics import NOT_ENOUGH_DATA, Estimate
from harness.analysis.stores import (
    answer_frame,
    answer_message,
    disturbance_message,
    mix_frame,
    slowest_ratio,
    store_ratios,
    store_workload,
    stores_asked,
    stores_in,
    workload_place,
)
from harness.analysis.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    Picture,
    bare,
    draw_mark,
    log_axis,
    named_rows,
    nothing,
    picture,
    readable,
    styled,
)
from harness.analysis.words import milliseconds, span, tick_ms, times
from harness.contract.store_differences import IN_MEMORY, POSTGRES
from harness.measure.agent_records import DISTURBANCES
from harness.measure.names import OURS, OURS_IN_MEMORY
from harness.measure.records import Results

_ROW_IN: Final = 0.262
_MARKS: Final = {
    "yes": ("\u2713", BLUE),
    "differs": ("\u2260", VERMILLION),
    "no": ("\u2717", VERMILLION),
}
_COLOURS: Final = {IN_MEMORY: ORANGE, POSTGRES: BLUE, OURS_IN_MEMORY: ORANGE, OURS: BLUE}
_BROKEN: Final = {
    IN_MEMORY: "InMemory\nStore",
    POSTGRES: "Async\nPostgres\nStore",
    OURS_IN_MEMORY: "AgentStore\non memory",
    OURS: "AgentStore\non postgres",
}


@styled
def store_matrix(results: Results) -> Picture:
    """Question by store: yes, differs as declared, or unexpectedly not."""
    answers = answer_frame(results)
    stores = stores_asked(answers)
    if not stores:
        return nothing(answer_message(results))
    figure = picture(
        answer_message(results),
        "Each line is a question of the store contract, as it was answered in this run. "
        "\u2713\u00a0yes   \u2260\u00a0differs, as declared   \u2717\u00a0unexpectedly\u00a0not   "
        "\u2013\u00a0not asked",
        height_in=len(answers) * _ROW_IN + 0.7,
    )
    axes = figure.subplots()
    bare(axes)
    for y, (_, row) in enumerate(answers.iterrows()):
        question = str(row["question"]).replace("`", "")
        axes.text(0.0, y, question, va="center", fontsize=9, parse_math=False)
        axes.axhline(y + 0.5, color=FAINT, linewidth=0.5)
        for column, store in enumerate(stores):
            mark, colour = _MARKS.get(str(row[store]), ("\u2013", GREY))
            draw_mark(axes, _column(column), y, mark, colour, boxed=row[store] == "no")
    for column, store in enumerate(stores):
        axes.text(
            _column(column),
            -0.6,
            _BROKEN.get(store, store),
            ha="center",
            va="bottom",
            fontsize=8.5,
            fontweight="bold",
        )
    axes.set(xlim=(-0.02, _column(len(stores)) - 0.45), ylim=(len(answers) - 0.4, -2.6))
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


@styled
def store_timings(results: Results) -> Picture:
    """The median time of an operation on each store, alone and all at once."""
    frame = timings_frame(results)
    if frame.empty:
        return nothing(timing_message(results))
    medians = frame.pivot_table(
        index=["workload", "operations"],
        columns="subject",
        values="per_operation_ms",
        aggfunc="median",
    )
    rows = sorted(medians.index, key=lambda key: workload_place(str(key[0])))
    figure = picture(
        timing_message(results),
        "Median time of one operation on a logarithmic scale, lower is better. Filled is ours, a "
        "ring LangGraph's; blue on Postgres, orange in memory. On the right: ours / LangGraph's on "
        "Postgres, with its 95 % interval.",
        height_in=len(rows) * 0.42 + 0.6,
    )
    axes = figure.subplots()
    for y, key in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=1, zorder=0)
        for store in stores_in(set(medians.columns)):
            _dot(axes, float(medians[store][key]), y, store)
    for row in store_ratios(results):
        if row.ours == OURS and row.ratio.n:
            axes.annotate(
                _ratio_text(row.ratio),
                (1.01, rows.index((row.workload, row.operations))),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=9.5,
            )
    named_rows(axes, [store_workload(str(w), int(n)) for w, n in rows])
    axes.set_ylim(len(rows) - 0.5, -0.6)
    times_ms = medians.to_numpy()
    low, high = float(np.nanmin(times_ms)), float(np.nanmax(times_ms))
    log_axis(axes.xaxis, low / 1.5, high * 1.5, tick_ms)
    return figure


@styled
def store_mix(results: Results) -> Picture:
    """Every good caller's time until its put and get were done, beside each disturbance."""
    frame = mix_frame(results)
    if frame.empty:
        return nothing(mix_message(results))
    figure = picture(
        mix_message(results),
        "Time until a good caller's put and get were done, on a logarithmic scale, all callers "
        "having begun at the same moment. A dot is a caller, the bar their median; the cross is "
        "the slow search itself.",
        height_in=len(frame) * 0.3 + 0.75,
    )
    axes = figure.subplots()
    stores, disturbances = list(frame["store"]), list(frame["disturbance"])
    ends = [end for y, row in enumerate(frame.to_dict("records")) for end in _strip(axes, y, row)]
    for y in range(1, len(frame)):
        if stores[y - 1] != stores[y]:
            axes.axhline(y - 0.5, color=FAINT, linewidth=1)
    named_rows(axes, [_mix_label(stores, disturbances, y) for y in range(len(frame))])
    axes.set_ylim(len(frame) - 0.4, -0.6)
    if ends:
        log_axis(axes.xaxis, min(ends) / 1.3, max(ends) * 1.3, tick_ms)
    return figure


def timing_message(results: Results) -> str:
    """Say how long ours takes next to LangGraph's store on Postgres, and where it takes longest."""
    ratios = [row for row in store_ratios(results) if row.ours == OURS]
    worst = slowest_ratio(ratios)
    if worst is None:
        if not results.timings:
            return "No store was timed"
        ratios = store_ratios(results)
        worst = slowest_ratio(ratios)
        if worst is None:
            return "No store of ours was timed beside LangGraph's"
    found = span([row.ratio.value for row in ratios if row.ratio.n])
    return (
        f"{worst.ours} takes {found} as long as {worst.stock}, longest for "
        f"{store_workload(worst.workload, worst.operations)}"
    )


def mix_message(results: Results) -> str:
    """Say what one caller's disturbance does to the others, on Postgres where it was measured."""
    parts = [
        f"beside a {disturbance} {found}"
        for disturbance in DISTURBANCES[1:]
        if (found := disturbance_message(results, disturbance))
    ]
    if parts:
        return f"{results.stores[0].callers} callers at once: {'; '.join(parts)}"
    return "No callers were measured beside one another on Postgres"


def _strip(axes: Axes, y: int, row: dict[Hashable, Any]) -> list[float]:
    """Draw the callers of one line, and return the times that the axis must hold."""
    colour = _COLOURS.get(row["store"], GREY)
    latencies: list[float] = row["latencies_ms"]
    offsets = np.random.default_rng(y).uniform(-0.22, 0.22, len(latencies))
    axes.scatter(latencies, y + offsets, s=7, color=colour, alpha=0.35, linewidths=0)
    if latencies:
        axes.plot([row["median_ms"]] * 2, [y - 0.36, y + 0.36], color=colour, linewidth=3)
    slow = [] if pd.isna(row["slow_ms"]) else [float(row["slow_ms"])]
    axes.scatter(slow, [y] * len(slow), s=36, marker="x", color=INK, linewidths=1.3, zorder=3)
    failed = row["failed"]
    axes.annotate(
        f"{failed} of {row['calls']} failed" if failed else milliseconds(row["median_ms"]),
        (1.01, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9.5,
        color=VERMILLION if failed else readable(colour),
        fontweight="bold" if failed else "normal",
    )
    return latencies + slow


def _dot(axes: Axes, value: float, y: int, store: str) -> None:
    if not np.isnan(value):
        colour = _COLOURS.get(store, GREY)
        ours = store in (OURS, OURS_IN_MEMORY)
        axes.scatter(
            value,
            y,
            s=40 if ours else 95,
            facecolors=colour if ours else "none",
            edgecolors=colour,
            linewidths=0 if ours else 1.8,
            zorder=3 if ours else 2,
        )


def _ratio_text(ratio: Estimate) -> str:
    interval = ratio.interval
    if interval is None:
        return f"{times(ratio.value)} ({NOT_ENOUGH_DATA})"
    return f"{times(ratio.value)} ({interval.low:.2f} to {interval.high:.2f})"


def _column(index: int) -> float:
    return 7.45 + index * 1.2


def _mix_label(stores: Sequence[str], disturbances: Sequence[str], y: int) -> str:
    """The disturbance, after the store's name where its lines begin."""
    label = "undisturbed" if disturbances[y] == "none" else f"a {disturbances[y]}"
    return f"{stores[y]}   {label}" if y == 0 or stores[y - 1] != stores[y] else label
