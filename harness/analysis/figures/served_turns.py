"""Pictures of turns over HTTP, beside the same graph in process and what is quoted of others."""

from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from harness.analysis.figures.serving import NOTHING
from harness.analysis.peers import Quoted, peers_of
from harness.analysis.serving import (
    MOMENTS,
    STORES,
    Moment,
    Who,
    conversations_of,
    store_name,
    turn_comparisons,
    turn_times,
)
from harness.analysis.statistics import median, quantile
from harness.analysis.style import (
    GREY,
    PURPLE,
    SUBJECTS,
    Picture,
    log_axis,
    nothing,
    picture,
    readable,
    steps_grid,
    styled,
)
from harness.analysis.words import counted, listed, milliseconds, tick_ms, times
from harness.measure.records import Results
from harness.measure.server_records import Checkpoints

_BEHIND: Final = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
_WIDE: Final = 40
"""From which ratio of its ends an axis of half the width has ticks at powers of ten alone."""
_QUOTED: Final[dict[Moment, Quoted | None]] = {
    "wait": "wait",
    "first_event": "first_event",
    "total": None,
}


@dataclass(frozen=True, slots=True)
class _Look:
    """How a subject's line is drawn."""

    colour: str
    dashes: str
    width: float
    label: str

    @property
    def style(self) -> dict[str, Any]:
        """What matplotlib's lines take."""
        return {
            "color": self.colour,
            "linestyle": self.dashes,
            "linewidth": self.width,
            "label": self.label,
        }


def _looks(store: Checkpoints) -> dict[Who, _Look]:
    colour, name = SUBJECTS[store], store_name(store)
    sdk = _Look(readable(colour), ":", 1.6, f"server, {name}, official client")
    return {
        Who("process", store, None): _Look(colour, "--", 1.3, f"in process, {name}"),
        Who("server", store, "raw"): _Look(colour, "-", 2.2, f"server, {name}"),
        Who("server", store, "sdk"): sdk,
    }


_LOOKS: Final = {
    Who("process", "none", None): _Look(GREY, "--", 1.3, "in process, no checkpointer"),
    **_looks("memory"),
    **_looks("postgres"),
}


@styled
def turn_shares(results: Results, moment: Moment = "first_event") -> Picture:
    """Shares of turns that were so far within a time: one conversation, and the most at once."""
    many = conversations_of(results)
    loads = sorted({many[0], many[-1]}) if many else []
    if not loads:
        return nothing(NOTHING)
    figure = picture(
        turn_message(results, moment),
        f"Share of turns whose {_words(moment)} had come within a time, on a logarithmic scale: "
        "steep and far to the left is good. Dashed: the same graph on the same checkpointer in "
        "process; grey: without one.",
        height_in=3.5,
    )
    panels = figure.subplots(1, len(loads), squeeze=False, sharey=True)[0]
    for axes, load in zip(panels, loads, strict=True):
        ends: list[float] = []
        for who, look in _LOOKS.items():
            if times_ms := turn_times(results, moment, load, who):
                axes.ecdf(times_ms, **look.style)
                ends += [min(times_ms), max(times_ms)]
        quoted = _QUOTED[moment]
        if load == 1 and quoted:
            ends += _quote(axes, quoted, horizontal=False)
        axes.set_title(f"{counted(load, 'conversation')} at once" if load > 1 else "1 conversation")
        log_axis(axes.xaxis, min(ends) / 1.25, max(ends) * 1.25, tick_ms)
        if max(ends) > _WIDE * min(ends):
            axes.xaxis.set_major_locator(LogLocator())
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="y")
        axes.set_xlabel(f"time to the {_words(moment)}")
    panels[0].set_ylabel("turns")
    _legend(panels[-1])
    return figure


@styled
def served_turns(results: Results) -> Picture:
    """Median times against conversations at once: a panel for each thing that a user waits for."""
    many = conversations_of(results)
    if not many:
        return nothing(NOTHING)
    figure = picture(
        crowd_message(results),
        "Median time against conversations at once, with a pale band up to the 95 % quantile of "
        "the server's; both scales are logarithmic. Dashed: the same graph on the same "
        "checkpointer in process. Diamonds are quoted of other servers, and not measured here.",
        height_in=3.7,
    )
    panels = figure.subplots(1, len(MOMENTS), sharey=True)
    ends: list[float] = []
    for axes, moment in zip(panels, MOMENTS, strict=True):
        axes.set_title(MOMENTS[moment])
        for who, look in _LOOKS.items():
            found = [(load, turn_times(results, moment, load, who)) for load in many]
            x = [load for load, times_ms in found if times_ms]
            if not x:
                continue
            y = [median(times_ms) for _, times_ms in found if times_ms]
            high = [quantile(times_ms, 0.95) for _, times_ms in found if times_ms]
            if who.host == "server" and who.client == "raw":
                axes.fill_between(x, y, high, color=look.colour, alpha=0.12, linewidth=0)
            axes.plot(x, y, **look.style)
            axes.scatter(x, y, color=look.colour, s=12, zorder=3)
            ends += [*y, *high]
        quoted = _QUOTED[moment]
        if quoted:
            ends += _quote(axes, quoted, horizontal=True)
        steps_grid(axes, many)
        axes.set_xlabel("conversations at once")
    log_axis(panels[0].yaxis, min(ends) / 1.3, max(ends) * 1.5, tick_ms)
    for axes in panels[1:]:
        axes.grid(visible=True, axis="y")
    _legend(panels[-1])
    return figure


def crowd_message(results: Results) -> str:
    """Say how long the most conversations at once wait for their answers, here and in process."""
    many = conversations_of(results)[-1]
    parts = []
    for store in STORES:
        served = turn_times(results, "wait", many, Who("server", store, "raw"))
        graph = turn_times(results, "wait", many, Who("process", store, None))
        if served and graph:
            parts.append(
                f"{milliseconds(median(served))} in {store_name(store)} "
                f"({milliseconds(median(graph))} in process)"
            )
    return f"{counted(many, 'conversation')} at once wait {listed(parts)}" if parts else NOTHING


def turn_message(results: Results, moment: Moment) -> str:
    """Say how long one conversation waits, and how many times its floor that is."""
    parts = []
    for store in STORES:
        served = turn_times(results, moment, 1, Who("server", store, "raw"))
        ratio = [
            row.ratio.value
            for row in turn_comparisons(results)
            if row.what == f"{MOMENTS[moment]}, {store} / floor" and row.resource == "1 at once"
        ]
        if served and ratio:
            took = milliseconds(median(served))
            parts.append(f"{took} in {store_name(store)} ({times(ratio[0])} the floor)")
    return f"{MOMENTS[moment].capitalize()} over HTTP: {listed(parts)}" if parts else NOTHING


def _quote(axes: Axes, quoted: Quoted, *, horizontal: bool) -> list[float]:
    """Mark what is quoted of other servers; return where."""
    for number, peer in enumerate(peers_of(quoted)):
        short = peer.name.partition(",")[0].replace("official ", "official\n")
        at_most = "\u2264 " if peer.low_ms >= 1_000 else ""
        told = f"{short}: {at_most}{tick_ms(peer.high_ms)}\n(quoted)"
        if horizontal:
            axes.scatter(1, peer.high_ms, marker="D", s=34, color=PURPLE, zorder=4)
            axes.annotate(
                told,
                (1, peer.high_ms),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=readable(PURPLE),
            )
        else:
            axes.axvline(peer.high_ms, color=PURPLE, linewidth=1.4, linestyle=(0, (1, 1.5)))
            axes.annotate(
                told,
                (peer.high_ms, 0.93 - 0.17 * number),
                xytext=(-4, 0),
                textcoords="offset points",
                va="center",
                ha="right",
                fontsize=8,
                color=readable(PURPLE),
                bbox=_BEHIND,
            )
    return [peer.high_ms for peer in peers_of(quoted)]


def _legend(axes: Axes) -> None:
    handles = [Line2D([], [], **look.style) for look in _LOOKS.values()]
    figure = axes.get_figure()
    if figure is not None:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9
        )


def _words(moment: Moment) -> str:
    return {"wait": "answer", "first_event": "first event", "total": "end"}[moment]
