"""Pictures of what the contract found."""

from typing import Final

import numpy as np

from harness.analysis.frames import contract_frame, promise_frame
from harness.analysis.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    VERMILLION,
    Picture,
    bare,
    colour_of,
    draw_mark,
    nothing,
    picture,
    styled,
)
from harness.analysis.words import counted, listed
from harness.contract.promises import PROMISES
from harness.measure.records import Results

_ROW_IN: Final = 0.262
_MARKS: Final = {"kept": ("\u2713", BLUE), "broken": ("\u2717", VERMILLION)}
_SHORT: Final = {
    "state": "State and history",
    "identity": "Identity and ownership",
    "items": "Items",
    "runs": "Runs",
    "crons": "Crons",
    "lifecycle": "Lifecycle",
    "langgraph": "LangGraph",
    "interference": "Others",
}


@styled
def contract_matrix(results: Results) -> Picture:
    """Promise by backend: kept, broken, or not asked."""
    promises = promise_frame(results)
    backends = [column for column in promises.columns if column != "promise"]
    if not backends:
        return nothing(contract_message(results))
    rows = _rows(list(promises.index))
    figure = picture(
        contract_message(results),
        "Each line is a promise of storage, with its number. "
        "\u2713 kept   \u2717 broken   \u2013 not asked in this run",
        height_in=len(rows) * _ROW_IN + 0.35,
    )
    axes = figure.subplots()
    bare(axes)
    for y, (number, heading) in enumerate(rows):
        if number is None:
            axes.text(-0.13, y + 0.12, heading, fontweight="bold", va="center", fontsize=10)
            continue
        axes.text(0.0, y, str(number), ha="right", va="center", color=GREY, fontsize=9.5)
        axes.text(
            0.12,
            y,
            str(promises.loc[number, "promise"]).replace("`", ""),
            va="center",
            fontsize=9.5,
        )
        axes.axhline(y + 0.5, color=FAINT, linewidth=0.5)
        for column, backend in enumerate(backends):
            mark, colour = _MARKS.get(str(promises.loc[number, backend]), ("\u2013", GREY))
            draw_mark(axes, _column(column), y, mark, colour, boxed=colour == VERMILLION)
    for column, backend in enumerate(backends):
        axes.text(_column(column), -0.35, backend, ha="center", fontweight="bold")
    axes.set(xlim=(-0.25, _column(len(backends)) - 0.4), ylim=(len(rows) - 0.4, -0.9))
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


@styled
def slowest_tests(results: Results, most: int = 10) -> Picture:
    """The tests that take longest, by backend: where the contract's time goes."""
    tests = contract_frame(results)
    tests = tests[tests["outcome"] != "skipped"]
    if tests.empty:
        return nothing("No test ran")
    total_s = float(tests["duration_s"].sum())
    top = tests.nlargest(most, "duration_s").iloc[::-1]
    share = float(top["duration_s"].sum()) / total_s
    verb = "takes" if len(top) == 1 else "take"
    figure = picture(
        f"{counted(len(top), 'test')} {verb} {share:.0%} of the contract's {total_s:.1f} s",
        f"The slowest of {counted(len(tests), 'test')}, in seconds; the colour is the backend's.",
        height_in=len(top) * 0.32 + 0.5,
    )
    axes = figure.subplots()
    places = np.arange(len(top))
    axes.barh(places, top["duration_s"], color=[colour_of(b) for b in top["backend"]], height=0.62)
    for y, (_, row) in enumerate(top.iterrows()):
        axes.text(
            row["duration_s"],
            y,
            f"  {row['duration_s']:.2f} s  {row['backend']}",
            va="center",
            fontsize=9,
            color=GREY,
        )
    axes.set_yticks(
        places, [_named(str(c), str(t)) for c, t in zip(top["contract"], top["test"], strict=True)]
    )
    axes.set_xlim(0, float(top["duration_s"].max()) * 1.3)
    axes.set_xticks([])
    bare(axes)
    axes.tick_params(axis="y", labelcolor=INK)
    return figure


def contract_message(results: Results) -> str:
    """Say in one sentence what the contract found."""
    promises = promise_frame(results)
    backends = [column for column in promises.columns if column != "promise"]
    if not backends:
        return "No backend was asked for its promises"
    failed = sum(outcome.outcome == "failed" for outcome in results.contract)
    broken = {
        backend: [int(n) for n in promises.index[promises[backend] == "broken"]]
        for backend in backends
    }
    if any(broken.values()):
        return "; ".join(
            f"{backend} breaks {counted(len(numbers), 'promise')} "
            f"({listed([str(number) for number in numbers])})"
            for backend, numbers in broken.items()
            if numbers
        )
    if failed:
        return f"No promise is broken by name, but {counted(failed, 'test')} failed"
    asked = int((promises[backends] != "not asked").any(axis=1).sum())
    who = {1: backends[0], 2: "Both backends"}.get(len(backends), f"All {len(backends)} backends")
    verb = "keeps" if len(backends) == 1 else "keep"
    if asked == len(promises):
        return f"{who} {verb} all {asked} promises of storage"
    return f"{who} {verb} all that was asked: {asked} of {len(promises)} promises"


def _rows(numbers: list[int]) -> list[tuple[int | None, str]]:
    """The lines of the matrix: a heading for each area, then its promises."""
    rows: list[tuple[int | None, str]] = []
    area = ""
    for number in numbers:
        mine = PROMISES[number].area if number in PROMISES else "langgraph"
        if mine != area:
            rows.append((None, _SHORT[mine]))
            area = mine
        rows.append((number, ""))
    return rows


def _column(index: int) -> float:
    return 6.6 + index * 0.95


def _named(contract: str, test: str, most: int = 62) -> str:
    """A test in words, after its contract."""
    words = test.removeprefix("test_").replace("_", " ")
    name = f"{contract.removeprefix('Test')}: {words}"
    return name if len(name) <= most else f"{name[: most - 1]}\u2026"
