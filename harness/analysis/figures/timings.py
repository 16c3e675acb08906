"""Pictures of how long creates and the other operations take."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from harness.analysis.frames import timings_frame
from harness.analysis.statistics import median
from harness.analysis.style import (
    FAINT,
    GREY,
    INK,
    Picture,
    colour_of,
    log_axis,
    named_rows,
    nothing,
    picture,
    readable,
    styled,
)
from harness.analysis.words import listed, milliseconds, span, tick_ms, times
from harness.analysis.workloads import RESOURCES, is_backend, subject_label, workload_label
from harness.measure.records import Results

_SUBJECT_ORDER: Final = {"memory": 0, "memory floor": 1, "postgres": 2, "floor": 3}
_LINE_IN: Final = 0.27


@styled
def create_timings(results: Results, workload: str = "create_sequential") -> Picture:
    """Every sample of one workload: a strip for each resource and subject, and its median."""
    frame = timings_frame(results)
    frame = frame[frame["workload"] == workload]
    strips = _strips(frame)
    if not strips:
        return nothing(create_message(results, workload))
    figure = picture(
        create_message(results, workload),
        "Time of one sample on a logarithmic scale, lower is better. A dot is a sample, the bar "
        "their median; grey is a floor.",
        height_in=max(len(strips), 2) * _LINE_IN + 0.75,
    )
    axes = figure.subplots()
    jitter = np.random.default_rng(0)
    rightmost = float(frame["ms"].max())
    for y, (resource, subject, samples_ms) in enumerate(strips):
        colour = colour_of(subject)
        offsets = jitter.uniform(-0.22, 0.22, len(samples_ms))
        axes.scatter(samples_ms, y + offsets, s=9, color=colour, alpha=0.45, linewidths=0)
        middle = median(samples_ms)
        axes.plot([middle, middle], [y - 0.36, y + 0.36], color=colour, linewidth=3)
        axes.text(
            rightmost * 1.25,
            y,
            milliseconds(middle),
            va="center",
            ha="left",
            fontsize=9.5,
            color=readable(colour) if is_backend(subject) else GREY,
            fontweight="bold" if is_backend(subject) else "normal",
        )
        if y and strips[y - 1][0] != resource:
            axes.axhline(y - 0.5, color=FAINT, linewidth=1)
    named_rows(axes, [_strip_label(strips, y) for y in range(len(strips))])
    for label, (_, subject, _) in zip(axes.get_yticklabels(), strips, strict=True):
        label.set_color(INK if is_backend(subject) else GREY)
    axes.set_ylim(len(strips) - 0.4, -0.6)
    log_axis(axes.xaxis, float(frame["ms"].min()) / 1.2, rightmost * 1.15, tick_ms)
    return figure


@styled
def other_operations(results: Results) -> Picture:
    """The median time of one operation, for all that both backends did beside creating."""
    frame = timings_frame(results)
    creating = frame["workload"].str.startswith("create")
    frame = frame[~creating & frame["subject"].map(is_backend)]
    wide = _wide(frame, ["workload", "resource"]).dropna()
    if wide.empty:
        return nothing("This run measured creates only; run without --quick for the rest")
    order = {workload: place for place, workload in enumerate(frame["workload"].unique())}
    rows = sorted(wide.index, key=lambda key: (order[key[0]], _place(key[1])))
    figure = picture(
        _other_message(wide),
        "Median time of one operation on a logarithmic scale, lower is better.",
        height_in=len(rows) * 0.25 + 0.7,
    )
    axes = figure.subplots()
    for y, key in enumerate(rows):
        values = [float(wide[subject][key]) for subject in wide.columns]
        low, high = min(values), max(values)
        axes.plot([low, high], [y, y], color=FAINT, linewidth=2, zorder=1)
        for subject in wide.columns:
            value = float(wide[subject][key])
            axes.scatter(value, y, s=38, color=colour_of(subject), zorder=2, linewidths=0)
            if y == 0:
                axes.annotate(
                    subject,
                    (value, y),
                    xytext=(0, 9),
                    textcoords="offset points",
                    ha="center",
                    color=readable(colour_of(subject)),
                    fontweight="bold",
                )
        if y and rows[y - 1][0] != key[0]:
            axes.axhline(y - 0.5, color=FAINT, linewidth=0.8)
    named_rows(axes, [_row_label(rows, y) for y in range(len(rows))])
    axes.set_ylim(len(rows) - 0.4, -1.4)
    times_ms = wide.to_numpy()
    log_axis(axes.xaxis, float(times_ms.min()) / 1.4, float(times_ms.max()) * 1.4, tick_ms)
    return figure


def create_message(results: Results, workload: str) -> str:
    """Say what Postgres costs next to memory and next to its floor, over all resources."""
    frame = timings_frame(results)
    frame = frame[frame["workload"] == workload]
    if frame.empty:
        return f"Nothing was measured of {workload_label(workload, 100)}"
    wide = _wide(frame, ["resource"])
    what = workload_label(workload, _operations(frame))
    if "postgres" not in wide:
        medians = [milliseconds(float(f(wide.to_numpy()))) for f in (np.nanmin, np.nanmax)]
        return f"{what}: {' to '.join(dict.fromkeys(medians))} an operation"
    parts = []
    if "memory" in wide:
        parts.append(f"{_spread(wide['postgres'] / wide['memory'])} as long as memory")
    parts += [
        f"{_spread(wide['postgres'] / wide[floor])} {subject_label(floor)}"
        for floor in wide.columns
        if not is_backend(floor) and not wide[floor].dropna().empty and floor != "memory floor"
    ]
    return f"{what}: Postgres takes {listed(parts)}" if parts else what


def _other_message(wide: pd.DataFrame) -> str:
    if not {"memory", "postgres"} <= set(wide.columns):
        who = listed([str(subject) for subject in wide.columns])
        middle_ms = float(np.nanmedian(wide.to_numpy()))
        return f"One operation on {who} costs {milliseconds(middle_ms)} in the middle"
    factors = wide["postgres"] / wide["memory"]
    workload, _ = factors.index[int(factors.argmax())]
    high = workload_label(str(workload))
    return (
        f"One operation on Postgres costs {milliseconds(float(wide['postgres'].median()))} "
        f"in the middle, {times(float(factors.median()))} what memory does; "
        f"most for “{high}” ({times(float(factors.max()))})"
    )


def _wide(frame: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    """Medians per operation in milliseconds, a column for each subject."""
    return frame.pivot_table(
        index=index, columns="subject", values="per_operation_ms", aggfunc="median"
    )


def _strips(frame: pd.DataFrame) -> list[tuple[str, str, list[float]]]:
    groups: dict[tuple[str, str], list[float]] = {
        (str(resource), str(subject)): [float(x) for x in group["ms"]]
        for (resource, subject), group in frame.groupby(["resource", "subject"], sort=False)
    }
    ordered = sorted(groups, key=lambda key: _place(*key))
    return [(resource, subject, groups[resource, subject]) for resource, subject in ordered]


def _place(resource: str, subject: str = "") -> tuple[int, int, str]:
    """Where a row stands: by resource, and a floor under its backend."""
    known = RESOURCES.index(resource) if resource in RESOURCES else len(RESOURCES)
    return (known, _SUBJECT_ORDER.get(subject, len(_SUBJECT_ORDER)), subject)


def _strip_label(strips: Sequence[tuple[str, str, Any]], y: int) -> str:
    resource, subject, _ = strips[y]
    first = y == 0 or strips[y - 1][0] != resource
    return f"{resource}   {subject}" if first else subject


def _row_label(rows: Sequence[tuple[str, str]], y: int) -> str:
    workload, resource = rows[y]
    first = y == 0 or rows[y - 1][0] != workload
    return f"{workload_label(workload)}   {resource}" if first else resource


def _operations(frame: pd.DataFrame) -> int:
    return int(frame["operations"].max()) if len(frame) else 0


def _spread(factors: "pd.Series[float]") -> str:
    return span([float(x) for x in factors.dropna()])
