"""The picture of how far the backends are from their floors."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from harness.analysis.statistics import TIMES, Estimate
from harness.analysis.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    VERMILLION,
    Picture,
    named_rows,
    nothing,
    picture,
    readable,
    styled,
)
from harness.analysis.targets import Comparison, comparisons
from harness.analysis.words import counted, listed, times
from harness.measure.records import Results

_COLOURS: Final = {"met": GREEN, "missed": VERMILLION}
_TICKS: Final = (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


def ratios(results: Results) -> Picture:
    """Each comparison of the backends: the ratio, its 95 % interval, and the target if any."""
    found = comparisons(results)
    return ratios_of(found, ratio_message(found))


@styled
def ratios_of(found: Sequence[Comparison], message: str) -> Picture:
    """Draw comparisons, a row each, under the headings of what they compare."""
    if not found:
        return nothing(message)
    rows = _with_headings(found)
    figure = picture(
        message,
        "Median of the ratios of samples taken side by side, with its 95 % interval; 1 is no "
        "difference. The tick is the target.",
        height_in=len(rows) * 0.285 + 0.6,
    )
    axes = figure.subplots()
    ends = [1.0]
    for y, row in enumerate(rows):
        if isinstance(row, str):
            axes.annotate(
                row,
                (0, y + 0.1),
                xytext=(-72, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
            axes.axhline(y - 0.5, color=FAINT, linewidth=0.8)
        else:
            ends += _draw(axes, y, row)
    axes.axvline(1, color=GREY, linewidth=1, linestyle=(0, (2, 3)), zorder=0)
    axes.set_xscale("log")
    low, high = min(ends) / 1.15, max(ends) * 1.15
    axes.set_xlim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g} {TIMES}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x")
    named_rows(axes, ["" if isinstance(row, str) else row.resource for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    return figure


def ratio_message(rows: Sequence[Comparison]) -> str:
    """Count what was met, missed and left open, over the comparisons that have targets."""
    judged = [row for row in rows if row.at_most is not None]
    if not judged:
        return "Nothing was measured beside a floor"
    verdicts = [row.verdict for row in judged]
    if set(verdicts) == {"not enough data"}:
        return f"There is not enough data to judge {counted(len(judged), 'target')}"
    parts = [f"{verdicts.count('met')} of {counted(len(judged), 'target')} met"]
    parts += [
        f"{verdicts.count(verdict)} {words}"
        for verdict, words in (
            ("missed", "missed"),
            ("undecided", "undecided"),
            ("not enough data", "without enough data"),
        )
        if verdict in verdicts
    ]
    return listed(parts)


def _with_headings(found: Sequence[Comparison]) -> list[str | Comparison]:
    rows: list[str | Comparison] = []
    what = ""
    for row in found:
        if row.what != what:
            what = row.what
            rows.append(what)
        rows.append(row)
    return rows


def _draw(axes: Axes, y: int, row: Comparison) -> list[float]:
    """Draw one line and return the ends that the axis must hold."""
    ratio = row.ratio
    colour = _COLOURS.get(row.verdict or "", GREY) if row.at_most else BLUE
    told = f"   {row.verdict} (\u2264 {row.at_most:g})" if row.at_most else ""
    draw_ratio(axes, y, ratio, colour, told, tick=row.at_most)
    return [*ratio.ends, *([row.at_most] if row.at_most else [])]


def draw_ratio(
    axes: Axes, y: int, ratio: Estimate, colour: str, told: str, *, tick: float | None
) -> None:
    """Draw a ratio with its interval and its target's tick; what is told of it stands beside."""
    axes.plot(ratio.ends, [y, y], color=colour, linewidth=3)
    axes.scatter(ratio.value, y, s=46, color=colour, zorder=3)
    if tick:
        axes.plot([tick] * 2, [y - 0.38, y + 0.38], color=INK, linewidth=1.6)
    axes.annotate(
        f"{times(ratio.value)}{told}",
        (1.01, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9.5,
        color=readable(colour),
    )
