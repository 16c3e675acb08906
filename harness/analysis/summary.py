"""The few lines that a run comes down to: for the terminal's last table and the report's first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analysis.durability import durability_lines
from harness.analysis.figures.contract import contract_message
from harness.analysis.figures.pool import saturation_message
from harness.analysis.frames import ordered_backends, pool_frame, promise_frame, timings_frame
from harness.analysis.growth import growth_lines
from harness.analysis.lines import Line, Mood
from harness.analysis.restarts import restart_lines
from harness.analysis.savers import saver_lines
from harness.analysis.serving import serving_lines
from harness.analysis.statistics import significant
from harness.analysis.stores import our_store_fails, store_lines
from harness.analysis.streaming import streaming_lines
from harness.analysis.targets import Comparison, comparisons
from harness.analysis.words import counted, listed, milliseconds, span
from harness.measure.records import Kind, Results


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run found, and whether a promise is broken."""

    headline: str
    lines: tuple[Line, ...]
    broken: bool


def summarise(many: Sequence[Results]) -> Summary:
    """Sum up the results of a run, whichever kinds of them there are."""
    lines: list[Line] = []
    headline = "Nothing was measured"
    broken = False
    for results in many:
        if results.kind == "contract":
            found, any_failed = _contract(results)
            lines += found
            broken = broken or any_failed
            headline = contract_message(results)
        else:
            lines += _LINES[results.kind](results)
            broken = broken or our_store_fails(results)
        if not results.complete:
            lines.append(Line(results.kind, "interrupted: this is what was there by then", "bad"))
    if headline == "Nothing was measured" and lines:
        headline = "Measured, without asking for the promises"
    return Summary(headline, tuple(lines), broken)


def _contract(results: Results) -> tuple[list[Line], bool]:
    promises = promise_frame(results)
    lines = []
    any_failed = False
    for backend in ordered_backends({outcome.backend for outcome in results.contract}):
        mine = [outcome for outcome in results.contract if outcome.backend == backend]
        failed = sum(outcome.outcome == "failed" for outcome in mine)
        skipped = sum(outcome.outcome == "skipped" for outcome in mine)
        states = promises[backend]
        parts = [
            f"{(states == 'kept').sum()} kept",
            f"{(states == 'broken').sum()} broken",
            f"{(states == 'not asked').sum()} not asked",
        ]
        tests = [f"{len(mine) - failed - skipped} of {counted(len(mine), 'test')} passed"]
        if skipped:
            tests.append(f"{skipped} skipped")
        lines.append(
            Line(
                f"promises, {backend}",
                f"{', '.join(parts)} ({', '.join(tests)})",
                "bad" if failed else "good",
            )
        )
        any_failed = any_failed or failed > 0
    return lines, any_failed


def _timings(results: Results) -> list[Line]:
    lines = []
    frame = timings_frame(results)
    creates = frame[frame["workload"] == "create_sequential"]
    for backend in ordered_backends(set(creates["subject"]) & {"memory", "postgres"}):
        medians = creates[creates["subject"] == backend].groupby("resource")["ms"].median()
        size = int(creates["operations"].max())
        low, high = float(medians.min()), float(medians.max())
        lines.append(
            Line(
                f"{size} creates one after another, {backend}",
                f"{milliseconds(low)} to {milliseconds(high)}, by resource",
            )
        )
    by_what: dict[str, list[Comparison]] = {}
    for comparison in comparisons(results):
        by_what.setdefault(comparison.what, []).append(comparison)
    return [*lines, *(_ratios(what, rows) for what, rows in by_what.items())]


def _pool(results: Results) -> list[Line]:
    if any(cell.subject == "postgres" for cell in results.pool):
        return [Line("pool", saturation_message(pool_frame(results)))]
    return []


def _ratios(what: str, rows: Sequence[Comparison]) -> Line:
    """The range over the resources, and what came of the target."""
    found = span([row.ratio.value for row in rows])
    aim = rows[0].at_most
    if aim is None:
        return Line(what, found)
    verdicts = [row.verdict for row in rows]
    counts = [
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in ("met", "missed", "undecided", "not enough data")
        if verdict in verdicts
    ]
    if "missed" in verdicts:
        mood: Mood = "bad"
    else:
        mood = "good" if set(verdicts) == {"met"} else "plain"
    return Line(what, f"{found}, aim \u2264 {significant(aim, 2)}: {listed(counts)}", mood)


_LINES: Final[Mapping[Kind, Callable[[Results], list[Line]]]] = {
    "timings": _timings,
    "pool": _pool,
    "streaming": streaming_lines,
    "restarts": restart_lines,
    "durability": durability_lines,
    "savers": saver_lines,
    "growth": growth_lines,
    "stores": store_lines,
    "server": serving_lines,
}
"""What there is to say of the results of each measurement."""
