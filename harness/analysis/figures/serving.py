"""Pictures of what HTTP adds to a create, and of how the server's pool is used."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from harness.analysis.figures.ratios import ratio_message, ratios_of
from harness.analysis.peers import peers_of
from harness.analysis.serving import (
    CREATES,
    SENT,
    STORES,
    create_comparisons,
    create_parts,
    load_frame,
    store_name,
    turn_comparisons,
)
from harness.analysis.statistics import median, paired_ratio
from harness.analysis.style import (
    FAINT,
    PURPLE,
    SKY,
    SUBJECTS,
    Picture,
    bare,
    named_rows,
    nothing,
    picture,
    readable,
    styled,
)
from harness.analysis.words import counted, listed, milliseconds, span, tick_ms, times
from harness.measure.records import Results, Timing
from harness.measure.server_records import Checkpoints, Client

NOTHING: Final = "No server was measured"
_STORAGE: Final = "#9AA3AF"


@styled
def served_creates(results: Results, workload: str = "create_sequential") -> Picture:
    """Creates over HTTP: dots on the bars of their floor, and what is quoted of other servers."""
    rows = [
        (resource, store, client, parts)
        for client in SENT
        for store in STORES
        for resource in ("assistants", "threads")
        if (parts := create_parts(results, workload, resource, store, client)) is not None
    ]
    if not rows:
        return nothing(NOTHING)
    figure = picture(
        served_create_message(results, workload),
        "Time of one create, lower is better. Dots are samples, the thick mark is their median. "
        "Bars are the floor, measured in the same rounds: an echo of the same body (pale), then "
        "the same storage call in process (darker). Bands are quoted of other servers, and not "
        "measured here.",
        height_in=0.31 * len(rows) + 1.5,
    )
    axes = figure.subplots()
    jitter = np.random.default_rng(0)
    most = 0.0
    for y, (_, store, _, parts) in enumerate(rows):
        most = max(most, _create_row(axes, y, store, parts, jitter))
    named_rows(axes, [_create_name(rows, y) for y in range(len(rows))])
    for y in range(1, len(rows)):
        if rows[y][2] != rows[y - 1][2]:
            axes.axhline(y - 0.5, color=FAINT, linewidth=1)
    if workload == "create_sequential":
        most = max(most, *(peer.high_ms for peer in peers_of("create")))
        for number, peer in enumerate(peers_of("create")):
            axes.axvspan(peer.low_ms, peer.high_ms, color=PURPLE, alpha=0.12, zorder=0, linewidth=0)
            axes.text(
                peer.low_ms,
                -1.5 + 0.55 * number,
                f" {peer.name} (quoted)",
                va="center",
                fontsize=8.5,
                color=readable(PURPLE),
            )
    axes.set_ylim(len(rows) - 0.4, -1.9 if workload == "create_sequential" else -0.6)
    axes.set_xlim(0, most * 1.2)
    axes.xaxis.set_major_formatter(lambda value, _: tick_ms(value) if value else "0")
    axes.grid(axis="x")
    return figure


def served_create_message(results: Results, workload: str) -> str:
    """Say how many times their floors creates over a bare connection take, by store."""
    parts = []
    for store in STORES:
        found = [
            row.ratio.value
            for row in create_comparisons(results)
            if row.what.startswith(f"{CREATES[workload]}, {store}, {SENT['raw']}")
        ]
        if found:
            parts.append(f"{span(found)} in {store_name(store)}")
    return (
        f"{CREATES[workload].capitalize()} over HTTP take {listed(parts)} what an echo and the "
        "storage take"
        if parts
        else NOTHING
    )


def served_ratios(results: Results) -> Picture:
    """Each time over HTTP as a multiple of its floor, with the aim."""
    found = [*create_comparisons(results), *turn_comparisons(results)]
    return ratios_of(found, ratio_message(found) if found else NOTHING)


@styled
def served_pool(results: Results) -> Picture:
    """How much of the server's pool is used, by its size and the number of callers."""
    frame = load_frame(results)
    if frame.empty:
        return nothing("No server on Postgres was measured under load")
    sizes, callers = sorted(set(frame["connections"])), sorted(set(frame["callers"]))
    figure = picture(
        served_pool_message(results),
        "Share of the connections' time in requests' hands, creates a second, and what a request "
        "waits for a connection on average: told by the server itself (/metrics) while callers "
        "create threads.",
        height_in=0.95 * len(sizes) + 0.75,
    )
    axes = figure.subplots()
    bare(axes)
    for load in frame.to_dict("records"):
        x, y = callers.index(load["callers"]), sizes.index(load["connections"])
        share = float(load["busy"])
        axes.add_patch(Rectangle((x - 0.48, y - 0.45), 0.96, 0.9, facecolor=FAINT, alpha=0.45))
        axes.add_patch(Rectangle((x - 0.48, y - 0.45), 0.96 * min(share, 1), 0.9, facecolor=SKY))
        axes.text(x - 0.44, y - 0.16, f"{share:.0%} busy", fontweight="bold", va="center")
        told = f"{load['creates a second']:,.0f} creates/s,  {milliseconds(load['wait_ms'])} wait"
        axes.text(x - 0.44, y + 0.17, told, fontsize=9, va="center")
    axes.set(xlim=(-0.5, len(callers) - 0.5), ylim=(len(sizes) - 0.5, -0.5))
    axes.set_xticks(range(len(callers)), [f"{number:,}" for number in callers])
    axes.set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axes.set_xlabel("callers at once")
    axes.set_ylabel("connections")
    return figure


def served_pool_message(results: Results) -> str:
    """Say how busy the smallest and the largest pool are under the most callers."""
    frame = load_frame(results)
    most = frame[frame["callers"] == frame["callers"].max()].sort_values("connections")
    parts = [
        f"{row['busy']:.0%} of {counted(int(row['connections']), 'connection')}"
        for _, row in most.iloc[[0, -1]].drop_duplicates().iterrows()
    ]
    return f"{counted(int(most['callers'].iloc[0]), 'caller')} at once keep {listed(parts)} busy"


def _create_row(
    axes: Axes,
    y: int,
    store: str,
    parts: tuple[Timing, Timing, Timing],
    jitter: np.random.Generator,
) -> float:
    """Draw the creates of one subject over their floor; return how far to the right it goes."""
    served_ms, echo_ms, storage_ms = (
        [1_000 * seconds / timing.operations for seconds in timing.samples_s] for timing in parts
    )
    colour = SUBJECTS[store]
    echo = median(echo_ms)
    axes.barh(y, echo, height=0.62, color=FAINT, zorder=1)
    axes.barh(y, median(storage_ms), left=echo, height=0.62, color=_STORAGE, zorder=1)
    offsets = jitter.uniform(-0.2, 0.2, len(served_ms))
    axes.scatter(served_ms, y + offsets, s=12, color=colour, alpha=0.5, linewidths=0, zorder=2)
    middle = median(served_ms)
    axes.plot([middle, middle], [y - 0.36, y + 0.36], color=colour, linewidth=3, zorder=3)
    ratio = paired_ratio(served_ms, [e + s for e, s in zip(echo_ms, storage_ms, strict=True)])
    shown = max(served_ms)
    axes.text(
        max(shown, echo + median(storage_ms)),
        y,
        f"   {milliseconds(middle)}, {times(ratio.value)}",
        va="center",
        fontsize=9.5,
        fontweight="bold",
        color=readable(colour),
    )
    return shown * 1.15


def _create_name(
    rows: Sequence[tuple[str, Checkpoints, Client, tuple[Timing, Timing, Timing]]], y: int
) -> str:
    resource, store, client, _ = rows[y]
    above = rows[y - 1] if y else None
    name = f"{store_name(store)}   {resource}"
    return name if above is not None and above[2] == client else f"{SENT[client]}   {name}"
