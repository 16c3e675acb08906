"""What durability came to: frame, table, and lines of the summary."""

from dataclasses import asdict, fields
from typing import Final

import pandas as pd

from harness.analysis.lines import Line
from harness.analysis.words import counted, listed
from harness.measure.agent_records import DURABILITIES, DurabilityCell
from harness.measure.records import Results

NOTHING: Final = (
    "No database died: this needs a server of our own to kill, and none could be started"
)


def durability_frame(results: Results) -> pd.DataFrame:
    """One row for each run whose database died, with the fields of `DurabilityCell`."""
    columns = [field.name for field in fields(DurabilityCell)]
    return pd.DataFrame([asdict(cell) for cell in results.durability], columns=columns)


def durability_table(results: Results) -> pd.DataFrame:
    """One row for each durability: the worst that happened, in supersteps."""
    frame = durability_frame(results)
    rows = []
    for durability, cells in by_durability(frame):
        rows.append(
            {
                "durability": durability,
                "deaths": len(cells),
                "acknowledged and lost": _most(cells["lost"]),
                "of those, before the death": _most((cells["died_at"] - cells["stored"]).clip(0)),
                "seen and done again": _most(cells["executed_again"]),
                "went on from": _went_on_from(cells),
                "whole after resuming": f"{int(cells['finished'].sum())} of {len(cells)}",
            }
        )
    return pd.DataFrame(rows)


def durability_lines(results: Results) -> list[Line]:
    """Say for each durability what was lost; `sync` may lose nothing."""
    frame = durability_frame(results)
    if frame.empty:
        return [Line("durability", NOTHING)] if results.complete else []
    return [_line(durability, cells) for durability, cells in by_durability(frame)]


def durability_message(frame: pd.DataFrame) -> str:
    """Say in one sentence what was lost."""
    if frame.empty:
        return NOTHING
    parts = []
    for durability, cells in by_durability(frame):
        lost, steps = int(cells["lost"].max()), int(cells["steps"].max())
        parts.append(f"{durability} lost {f'up to {lost} of {steps}' if lost else 'none'}")
    return f"Of the supersteps that were acknowledged, {listed(parts)}"


def by_durability(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The durabilities that were measured, the safest first, each with its rows."""
    there = set(frame["durability"])
    return [
        (name, frame[frame["durability"] == name].sort_values("died_at"))
        for name in DURABILITIES
        if name in there
    ]


def _line(durability: str, cells: pd.DataFrame) -> Line:
    lost, again = int(cells["lost"].max()), int(cells["executed_again"].max())
    broken = int((~cells["finished"]).sum())
    found = (
        f"{f'up to {lost}' if lost else 'none'} of {int(cells['steps'].max())} acknowledged "
        f"supersteps lost in {counted(len(cells), 'death')} of the database; up to {again} of "
        "those seen done again"
    )
    if broken:
        found += f"; {counted(broken, 'resumed run')} not whole"
    if durability == "sync":
        return Line(f"durability, {durability}", found, "bad" if lost or broken else "good")
    return Line(f"durability, {durability}", found, "bad" if broken else "plain")


def _went_on_from(cells: pd.DataFrame) -> str:
    """Where resumed runs began: at a checkpoint, or at their input, as if nothing had been."""
    anew = int((~cells["resumable"]).sum())
    checkpoints = len(cells) - anew
    return listed(
        [
            *([f"a checkpoint ({checkpoints})"] if checkpoints else []),
            *([f"the input ({anew})"] if anew else []),
        ]
    )


def _most(column: "pd.Series[int]") -> str:
    most = int(column.max())
    return f"up to {most}" if most else "none"
