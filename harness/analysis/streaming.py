"""Streamed turns as frames, comparisons, tables and lines."""

from typing import Final, Literal

import pandas as pd

from harness.analysis.lines import Line
from harness.analysis.statistics import Estimate, Verdict, median, paired_ratio, quantile, verdict
from harness.analysis.targets import Comparison
from harness.analysis.words import counted, milliseconds, times
from harness.measure.agent_records import StreamCell
from harness.measure.records import Results

SUBJECTS: Final = {
    "none": "no checkpointer",
    "memory": "InMemorySaver",
    "ours": "PooledSaver",
    "stock": "AsyncPostgresSaver",
}
"""What subjects are called in pictures and tables, in their order."""

Moment = Literal["first_token", "total"]
MOMENTS: Final[dict[Moment, str]] = {"first_token": "first token", "total": "whole turn"}

NEVER_SLOWER: Final = 1.05
"""Ours / stock should lie wholly above this in no cell."""
AT_LEAST: Final = 3.0
"""The stock saver's throughput, of which ours should have so much where many are far away."""
MANY: Final = 50
"""How many conversations those are."""


def streaming_frame(results: Results) -> pd.DataFrame:
    """One row per cell, with quantiles over all turns in milliseconds, and turns a second."""
    rows = [
        {
            "subject": cell.subject,
            "durability": cell.durability,
            "network_ms": cell.network_ms,
            "conversations": cell.conversations,
            "rounds": len(cell.wall_s),
            **{
                f"{moment}_{name}_ms": quantile(_times_ms(cell, moment), p)
                for moment in MOMENTS
                for name, p in (("p50", 0.5), ("p95", 0.95))
            },
            "turns_per_s": cell.conversations / median(cell.wall_s),
        }
        for cell in results.streaming
    ]
    columns = [
        *("subject", "durability", "network_ms", "conversations", "rounds"),
        *(f"{moment}_{name}_ms" for moment in MOMENTS for name in ("p50", "p95")),
        "turns_per_s",
    ]
    return pd.DataFrame(rows, columns=columns)


def stream_comparisons(results: Results) -> list[Comparison]:
    """Return ours / stock of every cell: first token and whole turn, medians of rounds."""
    found = []
    for moment, words in MOMENTS.items():
        for ours, stock in _pairs(results):
            ratio = paired_ratio(_medians(ours, moment), _medians(stock, moment))
            found.append(
                Comparison(
                    what=f"{words}: PooledSaver / AsyncPostgresSaver, {place(ours)}",
                    resource=f"{ours.conversations} at once",
                    ratio=ratio,
                    at_most=NEVER_SLOWER,
                    verdict=verdict(ratio, NEVER_SLOWER),
                )
            )
    return found


def throughput(results: Results) -> list[tuple[StreamCell, Estimate, Verdict]]:
    """Return ours / stock in turns a second where most are far away, a row for each durability.

    The target is one for `MANY` conversations; fewer are compared with it all the same.
    """
    pairs = [(ours, stock) for ours, stock in _pairs(results) if ours.network_ms]
    most = max((ours.conversations for ours, _ in pairs), default=0)
    found = []
    for ours, stock in pairs:
        if ours.conversations == most:
            slower = paired_ratio(ours.wall_s, stock.wall_s)
            told = verdict(slower, 1 / AT_LEAST)
            found.append((ours, paired_ratio(stock.wall_s, ours.wall_s), told))
    return found


def streaming_table(results: Results) -> pd.DataFrame:
    """One row per cell, in words."""
    frame = streaming_frame(results)
    shown = pd.DataFrame(
        {
            "checkpointer": frame["subject"].map(SUBJECTS),
            "durability": frame["durability"],
            "network": [f"{ms:g} ms" for ms in frame["network_ms"]],
            "at once": frame["conversations"],
            "rounds": frame["rounds"],
        }
    )
    for moment, words in MOMENTS.items():
        for name in ("p50", "p95"):
            shown[f"{words} {name}"] = frame[f"{moment}_{name}_ms"].map(milliseconds)
    shown["turns a second"] = [f"{rate:,.0f}" for rate in frame["turns_per_s"]]
    return shown


def streaming_lines(results: Results) -> list[Line]:
    """What a run says of streaming: the throughput far away, and where ours is slower."""
    lines = []
    for cell, ratio, told in throughput(results):
        aim = f", aim \u2265 {AT_LEAST:g}: {told}" if cell.conversations == MANY else ""
        mood: Literal["bad", "good", "plain"] = "plain"
        if aim and told in {"met", "missed"}:
            mood = "good" if told == "met" else "bad"
        what = f"{counted(cell.conversations, 'conversation')} {place(cell)}: ours / stock"
        lines.append(Line(what, f"{times(ratio.value)} the turns a second{aim}", mood))
    if slower := slower_cells(results):
        lines.append(Line("streaming: slower than stock", slower_message(slower), "bad"))
    return lines


def slower_cells(results: Results) -> list[Comparison]:
    """Return the comparisons whose whole interval lies above `NEVER_SLOWER`."""
    return [row for row in stream_comparisons(results) if row.verdict == "missed"]


def slower_message(slower: list[Comparison]) -> str:
    """Say in how many comparisons ours is slower, and the worst of them."""
    worst = max(slower, key=lambda row: row.ratio.value)
    return (
        f"in {counted(len(slower), 'comparison')}, at worst {times(worst.ratio.value)} "
        f"({worst.what}, {worst.resource})"
    )


def place(cell: StreamCell) -> str:
    """Where the database is and when a superstep is stored: `2 ms away, sync`."""
    away = f"{cell.network_ms:g} ms away" if cell.network_ms else "near"
    return f"{away}, {cell.durability}"


def _pairs(results: Results) -> list[tuple[StreamCell, StreamCell]]:
    """Ours beside stock, cell by cell."""
    stock = {_cell(cell): cell for cell in results.streaming if cell.subject == "stock"}
    return [
        (cell, stock[_cell(cell)])
        for cell in results.streaming
        if cell.subject == "ours" and _cell(cell) in stock
    ]


def _cell(cell: StreamCell) -> tuple[float, str, int]:
    return (cell.network_ms, cell.durability, cell.conversations)


def _times_ms(cell: StreamCell, moment: Moment) -> list[float]:
    rounds = cell.first_token_s if moment == "first_token" else cell.total_s
    return [1_000 * seconds for turns in rounds for seconds in turns]


def _medians(cell: StreamCell, moment: Moment) -> list[float]:
    rounds = cell.first_token_s if moment == "first_token" else cell.total_s
    return [median(turns) for turns in rounds]
