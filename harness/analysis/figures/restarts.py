"""A picture of how long an agent server is away, and of when its run goes on."""

import math
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.analysis.restarts import SUBJECTS, by_end, median_of, restart_message, restarts_frame
from harness.analysis.style import (
    FAINT,
    GREEN,
    GREY,
    INK,
    SKY,
    VERMILLION,
    Picture,
    colour_of,
    named_rows,
    nothing,
    picture,
    readable,
    styled,
)
from harness.analysis.words import milliseconds
from harness.measure.records import Results

_BAR_PT: Final = 11.0
_ABOVE_PT: Final = 9.0
"""From the middle of a bar to what is written above it."""


@styled
def restart_times(results: Results) -> Picture:
    """From the signal to the run's next step: a line of time for each server and signal."""
    frame = restarts_frame(results)
    message = restart_message(frame)
    if frame.empty:
        return nothing(message)
    ends = by_end(frame)
    lease_s = float(frame["lease_s"].max())
    figure = picture(
        message,
        "Seconds since the signal, in the midst of a run: medians as bars, each restart as a dot. "
        f"A killed run waits for the end of its lease, here {lease_s:g} s.",
        height_in=1.0 + 0.62 * len(ends),
    )
    axes = figure.subplots()
    for y, (subject, _, rows) in enumerate(ends):
        _restart(axes, y, subject, rows)
    named_rows(axes, [f"{SUBJECTS[subject]}, {ended_by}" for subject, ended_by, _ in ends])
    axes.set_ylim(len(ends) - 0.6, -0.7)
    axes.set_xlim(0, 1.05 * float(frame[["answers_s", "goes_on_s"]].max().max()))
    axes.set_xlabel("seconds since the signal")
    axes.grid(visible=True, axis="x", color=FAINT)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def _restart(axes: Axes, y: int, subject: str, rows: pd.DataFrame) -> None:
    gone, back, answers, goes_on = (
        median_of(rows, name) for name in ("gone_s", "back_s", "answers_s", "goes_on_s")
    )
    forgotten = math.isnan(goes_on)
    bars = [(0.0, gone, GREY), (gone, back, colour_of(subject))]
    if not forgotten:
        bars.append((back, goes_on, SKY))
    for low, high, colour in bars:
        axes.hlines(y, low, high, color=colour, linewidth=_BAR_PT, capstyle="butt")
    axes.scatter(rows["answers_s"], [y] * len(rows), s=26, color=INK, zorder=3)
    axes.scatter(rows["goes_on_s"], [y] * len(rows), s=26, color=GREEN, zorder=3)
    told = f"answers after {milliseconds(answers * 1_000)}, the run "
    told += "is forgotten" if forgotten else f"goes on after {milliseconds(goes_on * 1_000)}"
    axes.annotate(
        told,
        (0, y),
        xytext=(1, _ABOVE_PT),
        textcoords="offset points",
        va="bottom",
        fontsize=9,
        color=readable(VERMILLION) if forgotten else INK,
    )


def _legend() -> list[Line2D]:
    bars = {"ends": GREY, "starts": colour_of("postgres"), "the run waits": SKY}
    dots = {"first answer": INK, "the run's next step": GREEN}
    return [
        *(Line2D([], [], color=c, linewidth=7, label=text) for text, c in bars.items()),
        *(
            Line2D([], [], color=c, marker="o", linestyle="none", label=text)
            for text, c in dots.items()
        ),
    ]
