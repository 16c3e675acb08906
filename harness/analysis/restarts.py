"""What restarts of agent servers came to: frame, message, and lines of the summary."""

import math
from dataclasses import asdict, fields
from typing import Final

import pandas as pd

from harness.analysis.lines import Line
from harness.analysis.words import counted, listed, milliseconds
from harness.measure.records import Results
from harness.measure.restart_records import ServerRestart

NOTHING: Final = "No agent server was restarted"
SUBJECTS: Final = {"memory": "memory", "postgres": "Postgres"}
"""What the servers store in, by the name in the results."""


def restarts_frame(results: Results) -> pd.DataFrame:
    """One row for each restart, with the fields of `ServerRestart` and seconds since the signal.

    Those are `gone_s`, `back_s` (the server says that it is ready), `answers_s` and `goes_on_s`;
    the last is NaN where the run was forgotten.
    """
    columns = [field.name for field in fields(ServerRestart)]
    frame = pd.DataFrame([asdict(restart) for restart in results.restarts], columns=columns)
    gone = frame["ended_s"].astype(float)
    return frame.assign(
        gone_s=gone,
        back_s=gone + frame["ready_s"].astype(float),
        answers_s=gone + frame["answered_s"].astype(float),
        goes_on_s=gone + frame["continued_s"].astype(float),
    )


def by_end(frame: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """What was measured, memory first: what the server stores in, the signal, and the rows."""
    there = dict.fromkeys(zip(frame["subject"], frame["ended_by"], strict=True))
    return [
        (subject, ended_by, frame[(frame["subject"] == subject) & (frame["ended_by"] == ended_by)])
        for subject, ended_by in there
    ]


def restart_message(frame: pd.DataFrame) -> str:
    """Say when servers answer again, and when the runs go on that were cut off."""
    if frame.empty:
        return NOTHING
    ends = by_end(frame)
    answers = sorted(median_of(rows, "answers_s") for _, _, rows in ends)
    answered = dict.fromkeys([_seconds(answers[0]), _seconds(answers[-1])])
    goes_on = {end: median_of(rows, "goes_on_s") for _, end, rows in ends if _goes_on(rows)}
    parts = [f"{_seconds(after)} ({end})" for end, after in goes_on.items()]
    becomes = [f"goes on after {listed(parts)} on Postgres"] if parts else []
    becomes += ["is forgotten in memory"] if len(ends) > len(parts) else []
    return (
        f"A restarted server answers again {' to '.join(answered)} after the signal; the run that "
        f"was cut off {listed(becomes)}"
    )


def restart_lines(results: Results) -> list[Line]:
    """Say for each server and signal how long it was away, and what became of its run."""
    frame = restarts_frame(results)
    return [_line(*found) for found in by_end(frame)]


def median_of(rows: pd.DataFrame, column: str) -> float:
    """The median of a column in seconds; NaN where none of the rows has a value."""
    return float(rows[column].median())


def _line(subject: str, ended_by: str, rows: pd.DataFrame) -> Line:
    found = f"answers again {_seconds(median_of(rows, 'answers_s'))} after the signal"
    if not _goes_on(rows):
        found += "; the run is forgotten"
    else:
        goes_on = median_of(rows, "goes_on_s")
        again = int(rows["done_again"].max())
        steps = f"up to {counted(again, 'step')}" if again else "no step"
        found += f"; the run goes on after {_seconds(goes_on)}, {steps} that was seen done again"
    return Line(f"restart in mid-run, {subject}, {ended_by}", found)


def _goes_on(rows: pd.DataFrame) -> bool:
    return not math.isnan(median_of(rows, "goes_on_s"))


def _seconds(seconds: float) -> str:
    return milliseconds(seconds * 1_000)
