"""A picture of what a run loses when its database dies."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.analysis.durability import by_durability, durability_frame, durability_message
from harness.analysis.style import (
    BLUE,
    FAINT,
    GREY,
    SKY,
    VERMILLION,
    Picture,
    nothing,
    picture,
    styled,
)
from harness.measure.records import Results

_WORDS: Final = {
    "sync": "sync: stores, then goes on",
    "async": "async: stores meanwhile",
    "exit": "exit: stores at the end",
}


@styled
def deaths(results: Results) -> Picture:
    """What was stored, acknowledged and seen of each run, by the superstep of the death."""
    frame = durability_frame(results)
    message = durability_message(frame)
    if frame.empty:
        return nothing(message)
    figure = picture(
        message,
        "Each column is a run whose database died when the state after that superstep was given: "
        "what its caller had been told by the run's end, and how much of it was there later. Above "
        "the dotted line it was told by a run that went on without its database.",
        height_in=3.6,
    )
    groups = by_durability(frame)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (durability, cells) in zip(panels, groups, strict=True):
        axes.set_title(_WORDS[durability])
        _columns(axes, cells)
    panels[0].set_ylabel("superstep")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _columns(axes: Axes, cells: pd.DataFrame) -> None:
    steps = int(cells["steps"].max())
    width = 5.0 if len(cells) <= 10 else 3.5
    axes.plot([0, steps], [0, steps], color=GREY, linewidth=1, linestyle=(0, (2, 3)), zorder=0)
    stored = cells["stored"].to_numpy()
    told = np.maximum(stored, cells["acknowledged"].to_numpy())
    seen = np.maximum(told, cells["seen"].to_numpy())
    for low, high, colour in (
        (0 * stored, stored, BLUE),
        (stored, told, VERMILLION),
        (told, seen, SKY),
    ):
        there = high > low
        axes.vlines(
            cells["died_at"].to_numpy()[there],
            low[there],
            high[there],
            color=colour,
            linewidth=width,
            capstyle="butt",
        )
    axes.set(xlim=(0, steps + 1), ylim=(0, steps + 1), xlabel="superstep of the death")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=True, axis="y", color=FAINT)


def _legend() -> list[Line2D]:
    drawn = {
        "stored": BLUE,
        "state given (acknowledged), not stored": VERMILLION,
        "result seen, not stored": SKY,
    }
    return [Line2D([], [], color=colour, linewidth=5, label=text) for text, colour in drawn.items()]
