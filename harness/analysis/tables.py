"""Tables for notebooks: numbers that people can read, and no more columns than fit."""

import html
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import pandas as pd

from harness.analysis.frames import contract_frame, pool_frame, timings_frame
from harness.analysis.statistics import NOT_ENOUGH_DATA
from harness.analysis.targets import comparisons
from harness.analysis.words import milliseconds, times
from harness.analysis.workloads import workload_label
from harness.measure.records import Results
from harness.schema.inspect import Table

_LONGEST: Final = 300


class Shown:
    """Something that shows itself as HTML in a notebook, and as text elsewhere."""

    def __init__(self, markup: str, text: str) -> None:
        self._markup = markup
        self._text = text

    def _repr_html_(self) -> str:
        return self._markup

    def __repr__(self) -> str:
        return self._text


def plain(frame: pd.DataFrame, *, empty: str = "No rows.") -> Shown:
    """Show a frame whole, or a sentence where it has no rows."""
    if frame.empty:
        return Shown(f"<p>{html.escape(empty)}</p>", empty)
    index = frame.index.names != [None]
    return Shown(frame.to_html(index=index, border=0), frame.to_string(index=index))


def records(found: Sequence[Any], *columns: str) -> Shown:
    """Show these fields of records of storage, a row each."""
    rows = [{name: _cell(getattr(one, name)) for name in columns} for one in found]
    return plain(pd.DataFrame(rows), empty="Nothing found.")


def inspected(tables: Sequence[Table]) -> Shown:
    """Show the tables that `inspect_database` read, each under its title."""
    markup, text = [], []
    for table in tables:
        rows = [[_cell(value) for value in row] for row in table.rows]
        shown = plain(pd.DataFrame(rows, columns=list(table.columns)))
        markup.append(f"<h4>{html.escape(table.title)}</h4>{shown._repr_html_()}")
        text.append(f"{table.title}\n{shown!r}")
    return Shown("".join(markup), "\n\n".join(text))


def question_table(results: Results) -> pd.DataFrame:
    """How many tests of each contract passed, failed and were skipped, by backend."""
    return contract_frame(results).pivot_table(
        index="contract",
        columns=["backend", "outcome"],
        values="test",
        aggfunc="count",
        fill_value=0,
        sort=False,
    )


def pool_table(results: Results) -> pd.DataFrame:
    """One row per cell: throughput, busy share, and the quantiles of the waits."""
    frame = pool_frame(results).sort_values(["mix", "pool_size", "callers"])
    waited = {
        f"wait {name}": frame[f"wait_{name}_ms"].map(_ms).to_numpy()
        for name in ("p50", "p95", "p99")
    }
    return pd.DataFrame(
        {
            "mix": frame["mix"].to_numpy(),
            "subject": frame["subject"].to_numpy(),
            "connections": ["" if size == 0 else f"{size}" for size in frame["pool_size"]],
            "callers": frame["callers"].to_numpy(),
            "per second": [f"{rate:,.0f}" for rate in frame["throughput_per_s"]],
            "busy": [
                "" if size == 0 else f"{share:.0%}"
                for size, share in zip(frame["pool_size"], frame["busy_share"], strict=True)
            ],
            **waited,
        }
    )


def comparison_table(results: Results) -> pd.DataFrame:
    """One row per comparison: the median ratio, its interval, the target, and the verdict."""
    rows = []
    for row in comparisons(results):
        ratio = row.ratio
        interval = ratio.interval
        rows.append(
            {
                "comparison": row.what,
                "resource": row.resource,
                "ratio": times(ratio.value),
                "95 % interval": f"{interval.low:.2f} to {interval.high:.2f}"
                if interval
                else NOT_ENOUGH_DATA,
                "pairs": ratio.n,
                "target": f"\u2264 {row.at_most:g}" if row.at_most else "",
                "verdict": row.verdict or "",
            }
        )
    return pd.DataFrame(rows)


def median_table(results: Results) -> pd.DataFrame:
    """Median time of a sample for each workload and resource, a column for each subject."""
    frame = timings_frame(results)
    if frame.empty:
        return pd.DataFrame()
    labels = [
        workload_label(str(workload), int(operations))
        for workload, operations in zip(frame["workload"], frame["operations"], strict=True)
    ]
    wide = frame.assign(workload=labels).pivot_table(
        index=["workload", "resource"], columns="subject", values="ms", aggfunc="median", sort=False
    )
    return wide.map(_ms)


def _ms(value: float) -> str:
    return "" if math.isnan(value) else milliseconds(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\u2026"
