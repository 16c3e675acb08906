"""Pictures of growth: what a thread takes, what its length costs, and what pruning gives back."""

import math
from typing import Final

import pandas as pd
from matplotlib.axes import Axes

from harness.analysis.growth import (
    KINDS,
    READS,
    TURNS_A_DAY,
    TURNS_A_THREAD,
    forecast,
    growth_frame,
    longest_pruned,
    read_estimates,
    read_message,
    turn_costs,
    turn_message,
)
from harness.analysis.style import (
    BLUE,
    FAINT,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    Picture,
    bare,
    log_axis,
    nothing,
    picture,
    readable,
    steps_grid,
    styled,
)
from harness.analysis.words import counted, listed, size, tick_ms
from harness.measure.records import Results

NOTHING: Final = "No thread was grown"
_DURABILITIES: Final = {"sync": VERMILLION, "async": BLUE, "exit": ORANGE}
_CHANNELS: Final = {"plain": BLUE, "delta": ORANGE}
_TABLES: Final = {"checkpoints": BLUE, "checkpoint_blobs": SKY, "checkpoint_writes": GREY}


@styled
def thread_growth(results: Results) -> Picture:
    """What one thread occupies against its turns, by channels and durability."""
    frame = growth_frame(results)
    if frame.empty:
        return nothing(NOTHING)
    figure = picture(
        thread_message(frame),
        "Bytes of a thread's rows as they are stored, without indexes, against its turns; both "
        "scales are logarithmic. Dotted: in proportion to the turns.",
        height_in=3.1,
    )
    panels = figure.subplots(1, 2, sharey=True, squeeze=False)[0]
    low, high = float(frame["stored_bytes"].min()), float(frame["stored_bytes"].max())
    for axes, (channels, words) in zip(panels, KINDS.items(), strict=True):
        axes.set_title(words)
        here = frame[frame["channels"] == channels]
        for durability, colour in _DURABILITIES.items():
            line = here[here["durability"] == durability].sort_values("turns")
            if len(line):
                _growth_line(axes, line, colour, durability)
        log_axis(axes.yaxis, low / 1.5, high * 1.8, size)
        steps_grid(axes, frame["turns"], "turns")
    handles, labels = panels[0].get_legend_handles_labels()
    panels[0].legend(handles, labels, frameon=False, fontsize=9, loc="upper left")
    return figure


def thread_message(frame: pd.DataFrame) -> str:
    """Say what the longest thread occupies with each kind of channels."""
    longest = frame[frame["turns"] == frame["turns"].max()]
    durability = "async" if "async" in set(longest["durability"]) else longest["durability"].iloc[0]
    here = longest[longest["durability"] == durability].set_index("channels")["stored_bytes"]
    parts = [f"{size(here[kind])} in {words}" for kind, words in KINDS.items() if kind in here]
    turns = counted(int(longest["turns"].iloc[0]), "turn")
    return f"A thread of {turns} takes {listed(parts)} ({durability})"


@styled
def turn_cost(results: Results) -> Picture:
    """What one turn adds at the end of a long thread: rows and bytes, by table."""
    frame = turn_costs(results)
    if frame.empty:
        return nothing(NOTHING)
    kinds = list(dict.fromkeys(zip(frame["channels"], frame["durability"], strict=True)))
    figure = picture(
        turn_message(frame),
        "What a turn adds to each table, on average over the last turns that were measured; bytes "
        "as they are stored, without indexes.",
        height_in=0.75 + 0.34 * len(kinds),
    )
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column, words in ((left, "rows", "rows"), (right, "stored_bytes", "bytes")):
        axes.set_title(words)
        bare(axes)
        ends = [0.0] * len(kinds)
        for table, colour in _TABLES.items():
            here = frame[frame["table"] == table].set_index(["channels", "durability"])[column]
            added = [float(here.get(kind, 0.0)) for kind in kinds]
            axes.barh(range(len(kinds)), added, left=ends, height=0.62, color=colour, label=table)
            ends = [end + more for end, more in zip(ends, added, strict=True)]
        for place, end in enumerate(ends):
            told = size(end) if column == "stored_bytes" else f"{end:.0f}"
            axes.text(end, place, f"  {told}", va="center", fontsize=9.5, color=GREY)
        axes.set_xlim(0, max(ends) * 1.25)
        axes.set_xticks([])
    left.set_yticks(range(len(kinds)), [f"{channels}, {when}" for channels, when in kinds])
    left.set_ylim(len(kinds) - 0.4, -0.6)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower left", ncols=3)
    return figure


@styled
def read_latency(results: Results) -> Picture:
    """State and history against the thread's checkpoints: medians with their 95 % intervals."""
    found = read_estimates(results)
    if not found:
        return nothing(NOTHING)
    figure = picture(
        read_message(results),
        "Median of a read through the graph, with its 95 % interval, against the checkpoints of "
        "its thread; both scales are logarithmic.",
        height_in=3.0,
    )
    panels = figure.subplots(1, 2, sharey=True, squeeze=False)[0]
    ends = [one for _, _, _, ms in found for one in (ms.value, *ms.ends)]
    for axes, (call, words) in zip(panels, READS.items(), strict=True):
        axes.set_title(words)
        for channels, colour in _CHANNELS.items():
            here = [(n, ms) for one, kind, n, ms in found if (one, kind) == (call, channels)]
            here.sort(key=lambda pair: pair[0])
            axes.plot(
                [n for n, _ in here],
                [ms.value for _, ms in here],
                marker="o",
                markersize=4,
                color=colour,
                label=KINDS[channels],
            )
            for n, ms in here:
                axes.plot([n, n], ms.ends, color=colour, linewidth=1.4)
        log_axis(axes.yaxis, min(ends) / 1.3, max(ends) * 1.4, tick_ms)
        steps_grid(axes, {n for _, _, n, _ in found}, "checkpoints")
    panels[0].legend(frameon=False, fontsize=9, loc="upper left")
    return figure


@styled
def pruning_gain(results: Results) -> Picture:
    """What the longest threads occupied before they were pruned, and after."""
    gains = longest_pruned(results)
    if not gains:
        return nothing("No thread was pruned")
    parts = [
        f"{1 - gain.bytes_after / gain.bytes_before:.0%} of {KINDS[gain.channels]}"
        for gain in gains
    ]
    figure = picture(
        f"Keeping {counted(gains[0].keep_latest, 'checkpoint')} gives back {listed(parts)}",
        f"Stored bytes of a thread of {counted(gains[0].turns, 'turn')} before and after. Delta "
        "channels need the checkpoints back to where they were last stored whole.",
        height_in=0.35 + 0.75 * len(gains),
    )
    axes = figure.subplots()
    bare(axes)
    for place, gain in enumerate(gains):
        for offset, value, checkpoints, colour in (
            (-0.19, gain.bytes_before, gain.checkpoints_before, FAINT),
            (0.19, gain.bytes_after, gain.checkpoints_after, _CHANNELS[gain.channels]),
        ):
            axes.barh(place + offset, value, height=0.34, color=colour)
            told = f"  {size(value)}, {counted(checkpoints, 'checkpoint')}"
            axes.text(value, place + offset, told, va="center", fontsize=9.5, color=GREY)
    axes.set_yticks(range(len(gains)), [KINDS[gain.channels] for gain in gains])
    axes.set_ylim(len(gains) - 0.5, -0.5)
    axes.set_xlim(0, max(gain.bytes_before for gain in gains) * 1.3)
    axes.set_xticks([])
    return figure


@styled
def yearly_growth(
    results: Results, *, turns_a_day: float = TURNS_A_DAY, turns_a_thread: float = TURNS_A_THREAD
) -> Picture:
    """Gigabytes a year at so many turns, on disk and in WAL, for each kind of thread."""
    frame = forecast(results, turns_a_day=turns_a_day, turns_a_thread=turns_a_thread)
    known = frame.dropna(subset=["disk_gb"])
    if known.empty:
        return nothing(
            f"Threads of {turns_a_thread:g} turns were not measured: ask for shorter ones"
        )
    least, most = float(known["disk_gb"].min()), float(known["disk_gb"].max())
    figure = picture(
        f"{turns_a_day:,.0f} turns a day fill {size(1e9 * least)} to {size(1e9 * most)} a year",
        f"In threads of {turns_a_thread:g} turns. Dark: on disk with indexes, where nobody prunes; "
        "up to the white line what stays if each thread is pruned once it is over. Pale: written "
        "to the log, which archives and replicas take in.",
        height_in=0.3 + 0.52 * len(known),
    )
    axes = figure.subplots()
    bare(axes)
    _yearly_bars(axes, known)
    return figure


def _yearly_bars(axes: Axes, known: pd.DataFrame) -> None:
    for place, row in enumerate(known.to_dict("records")):
        pruned = row["pruned_gb"]
        less = "" if math.isnan(pruned) else f", {size(1e9 * pruned)} pruned"
        for offset, value, colour, more in (
            (-0.17, row["disk_gb"], BLUE, less),
            (0.17, row["wal_gb"], SKY, ""),
        ):
            axes.barh(place + offset, value, height=0.3, color=colour)
            axes.text(
                value,
                place + offset,
                f"  {size(1e9 * value)}{more}",
                va="center",
                fontsize=9.5,
                color=readable(colour),
            )
        if pruned < row["disk_gb"]:
            axes.plot([pruned] * 2, [place - 0.32, place - 0.02], color="white", linewidth=2)
    labels = [f"{row['channels']}, {row['durability']}" for row in known.to_dict("records")]
    axes.set_yticks(range(len(known)), labels)
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlim(0, float(known[["disk_gb", "wal_gb"]].to_numpy().max()) * 1.3)
    axes.set_xticks([])


def _growth_line(axes: Axes, line: pd.DataFrame, colour: str, label: str) -> None:
    turns, stored = line["turns"].to_numpy(), line["stored_bytes"].to_numpy()
    # sync stores the same as async: the broader line beneath shows that it is there.
    width = 5 if label == "sync" else 2
    axes.plot(turns, stored, marker="o", markersize=4, color=colour, label=label, linewidth=width)
    axes.plot(
        turns,
        stored[0] * turns / turns[0],
        color=colour,
        linewidth=0.9,
        linestyle=(0, (1, 2)),
        alpha=0.8,
    )
