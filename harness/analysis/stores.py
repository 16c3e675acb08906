"""What was found of LangGraph's stores and ours: frames, tables, and the lines of the summary."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import pandas as pd

from harness.analysis.frames import ratio_of
from harness.analysis.lines import Line, Mood
from harness.analysis.statistics import Estimate, paired_ratio, quantile
from harness.analysis.words import counted, listed, milliseconds, span, times
from harness.contract.store_differences import IN_MEMORY, POSTGRES
from harness.measure.agent_records import DISTURBANCES, Disturbance, StoreMix
from harness.measure.names import OURS, STOCK_OF, STORES, Operation, Way
from harness.measure.records import Outcome, Results

Answer = Literal["no", "differs", "yes", "not asked"]

_PARAMETERS: Final = re.compile(r"\[.*\]$")
_ANSWERS: Final[dict[Outcome, Answer]] = {
    "failed": "no",
    "differs": "differs",
    "passed": "yes",
    "skipped": "not asked",
}
_WORST_FIRST: Final = get_args(Answer)
_WAYS: Final[dict[Way, str]] = {"alone": "one after another", "at_once": "at once"}
_PLURALS: Final[dict[Operation, str]] = {"put": "puts", "get": "gets", "search": "searches"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRatio:
    """How long ours takes next to LangGraph's for one workload."""

    workload: str
    operations: int
    ours: str
    stock: str
    ratio: Estimate


def answer_frame(results: Results) -> pd.DataFrame:
    """One row per question, in the contract's order, and one column of answers per store.

    A question that is asked in several forms has its worst answer: `no`, which nobody expected,
    then `differs`, which is declared, then `yes`. The index is the
    test's name; `question` its words.
    """
    found: dict[tuple[str, str], set[Answer]] = {}
    for outcome in results.contract:
        name = _PARAMETERS.sub("", outcome.test)
        found.setdefault((name, outcome.backend), set()).add(_ANSWERS[outcome.outcome])
    asked = {name for name, _ in found}
    names = [name for name in _questions() if name in asked]
    names += sorted(asked.difference(_questions()))
    columns = {"question": [_questions().get(name, name) for name in names]}
    for store in stores_in({store for _, store in found}):
        columns[store] = [_worst(found.get((name, store), set())) for name in names]
    return pd.DataFrame(columns, index=pd.Index(names, name="test"))


def stores_asked(answers: pd.DataFrame) -> list[str]:
    """The stores that an `answer_frame` has columns for."""
    return [column for column in answers.columns if column != "question"]


def difference_table(results: Results) -> pd.DataFrame:
    """One row per question and store that is not answered with yes: what was asked, and why not."""
    whys: dict[tuple[str, str, str], None] = {}
    for outcome in results.contract:
        if outcome.outcome in {"differs", "failed"}:
            expected = "" if outcome.outcome == "differs" else "unexpected: "
            question = _questions().get(_PARAMETERS.sub("", outcome.test), outcome.test)
            whys[outcome.backend, question, f"{expected}{outcome.message}"] = None
    order = stores_in({store for store, _, _ in whys})
    return pd.DataFrame(
        [row for store in order for row in whys if row[0] == store],
        columns=["store", "question", "why it is not answered with yes"],
    )


def store_ratios(results: Results) -> list[StoreRatio]:
    """Return ours next to LangGraph's store of the same kind, for each workload on both."""
    return [
        StoreRatio(
            workload=timing.workload,
            operations=timing.operations,
            ours=ours,
            stock=stock,
            ratio=ratio,
        )
        for ours, stock in STOCK_OF.items()
        for timing in sorted(results.timings, key=lambda timing: workload_place(timing.workload))
        if timing.subject == ours
        and (
            ratio := ratio_of(
                results,
                (timing.workload, timing.resource, ours),
                (timing.workload, timing.resource, stock),
            )
        )
    ]


def slowest_ratio(ratios: Sequence[StoreRatio]) -> StoreRatio | None:
    """Return the workload in which ours takes longest next to LangGraph's."""
    return max(
        (row for row in ratios if row.ratio.n), key=lambda row: row.ratio.value, default=None
    )


def ratio_table(results: Results) -> pd.DataFrame:
    """One row per workload: ours / LangGraph's, in memory and on Postgres, with its interval."""
    rows = [
        {
            "what": store_workload(row.workload, row.operations),
            "ratio": f"{row.ours} / {row.stock}",
            "found": row.ratio.text("\N{MULTIPLICATION SIGN}"),
        }
        for row in store_ratios(results)
    ]
    return pd.DataFrame(rows, columns=["what", "ratio", "found"])


def mix_frame(results: Results) -> pd.DataFrame:
    """One row per store and disturbance; latencies are of good callers, all rounds together."""
    mixes = sorted(
        results.stores,
        key=lambda mix: (_place(mix.subject), DISTURBANCES.index(mix.disturbance)),
    )
    rows = []
    for mix in mixes:
        latencies = [ms for one in mix.latency_ms for ms in one]
        rows.append(
            {
                "store": mix.subject,
                "disturbance": mix.disturbance,
                "callers": mix.callers,
                "rounds": len(mix.failed),
                "failed": sum(mix.failed),
                "calls": mix.callers * len(mix.failed),
                "median_ms": quantile(latencies, 0.5),
                "p95_ms": quantile(latencies, 0.95),
                "slow_ms": quantile(mix.slow_ms, 0.5),
                "latencies_ms": latencies,
            }
        )
    return pd.DataFrame(
        rows,
        columns=[
            *("store", "disturbance", "callers", "rounds", "failed", "calls"),
            *("median_ms", "p95_ms", "slow_ms", "latencies_ms"),
        ],
    )


def mix_table(results: Results) -> pd.DataFrame:
    """One row per store and disturbance: who failed, how long the rest took, and next to none."""
    frame = mix_frame(results)
    return pd.DataFrame(
        {
            "store": frame["store"],
            "among the callers": frame["disturbance"],
            "good callers that failed": [
                f"{failed} of {calls}"
                for failed, calls in zip(frame["failed"], frame["calls"], strict=True)
            ],
            "median": frame["median_ms"].map(_ms),
            "95 of 100 within": frame["p95_ms"].map(_ms),
            "median / undisturbed": [
                _text(slowdown(results, str(store), disturbance))
                for store, disturbance in zip(frame["store"], frame["disturbance"], strict=True)
            ],
            "the slow search itself": frame["slow_ms"].map(_ms),
        }
    )


def slowdown(results: Results, store: str, disturbance: Disturbance) -> Estimate | None:
    """Return the median latency beside a disturbance / without it, round by round.

    None where there is nothing to compare: no disturbance, or no caller succeeded.
    """
    there, without = mix_of(results, store, disturbance), mix_of(results, store, "none")
    if there is None or without is None or disturbance == "none":
        return None
    pairs = [
        (quantile(one, 0.5), quantile(other, 0.5))
        for one, other in zip(there.latency_ms, without.latency_ms, strict=True)
        if one and other
    ]
    return paired_ratio([one for one, _ in pairs], [other for _, other in pairs]) if pairs else None


def mix_of(results: Results, store: str, disturbance: Disturbance) -> StoreMix | None:
    """Return the callers of a store beside a disturbance, if they were measured."""
    return next(
        (m for m in results.stores if (m.subject, m.disturbance) == (store, disturbance)), None
    )


def answer_message(results: Results) -> str:
    """Say in one sentence who answers the contract's questions otherwise than with yes."""
    answers = answer_frame(results)
    stores = stores_asked(answers)
    if not stores:
        return "No store was asked"
    parts = []
    for store in stores:
        unexpected = int((answers[store] == "no").sum())
        if unexpected:
            parts.append(f"{store} answers {unexpected} unexpectedly")
    differ = {store: int((answers[store] == "differs").sum()) for store in stores}
    parts += [f"{store} answers {number} differently" for store, number in differ.items() if number]
    whole = [store for store in stores if (answers[store] == "yes").all()]
    if whole:
        parts.append(f"{listed(whole)} {'answers' if len(whole) == 1 else 'answer'} all with yes")
    return f"Of {counted(len(answers), 'question')} {'; '.join(parts)}"


def store_lines(results: Results) -> list[Line]:
    """Sum up: answers by store, ours / LangGraph's, and what a disturbance does to the others."""
    lines = []
    answers = answer_frame(results)
    for store in stores_asked(answers):
        counts = answers[store].value_counts()
        parts = [f"{counts['yes']} yes" if "yes" in counts else "0 yes"]
        parts += [f"{counts['differs']} differ, as declared"] if "differs" in counts else []
        parts += [f"{counts['no']} unexpectedly not"] if "no" in counts else []
        mood: Mood = "good" if store in STOCK_OF else "plain"
        if "no" in counts:
            mood = "bad"
        lines.append(Line(f"store questions, {store}", ", ".join(parts), mood))
    if {IN_MEMORY, POSTGRES} <= set(answers.columns):
        apart = int((answers[IN_MEMORY] != answers[POSTGRES]).sum())
        lines.append(
            Line(
                "LangGraph's two stores",
                f"disagree on {apart} of {counted(len(answers), 'question')}",
            )
        )
    for way, words in _WAYS.items():
        found = [
            row.ratio.value
            for row in store_ratios(results)
            if row.ours == OURS and row.workload.endswith(f"_{way}") and row.ratio.n
        ]
        if found:
            lines.append(Line(f"our store / LangGraph's on Postgres, {words}", span(found)))
    lines += [
        Line(f"a {disturbance} among callers", disturbed)
        for disturbance in DISTURBANCES[1:]
        if (disturbed := disturbance_message(results, disturbance))
    ]
    return lines


def disturbance_message(results: Results, disturbance: Disturbance) -> str:
    """Say what a disturbance does to the other callers of the stores on Postgres; "" if unknown."""
    failed, slower = [], []
    any_failed = False
    for store, whose in ((POSTGRES, "LangGraph's store"), (OURS, "ours")):
        mix, ratio = mix_of(results, store, disturbance), slowdown(results, store, disturbance)
        if mix is not None:
            fails, calls = sum(mix.failed), mix.callers * len(mix.failed)
            any_failed = any_failed or fails > 0
            failed.append(f"{f'{fails} of {calls}' if fails else 'none'} on {whose}")
        if ratio is not None:
            slower.append(f"{times(ratio.value)} on {whose}")
    if any_failed:
        return f"of the others fail {listed(failed)}"
    return f"the others take {listed(slower)} as long" if slower else ""


def our_store_fails(results: Results) -> bool:
    """Whether a store of ours answered a question of the contract with no."""
    return any(
        outcome.outcome == "failed" and outcome.backend in STOCK_OF for outcome in results.contract
    )


def stores_in(found: set[str]) -> list[str]:
    """Order stores as they are shown: the known ones, and then whatever else there is, by name."""
    return [*(store for store in STORES if store in found), *sorted(found.difference(STORES))]


def store_workload(workload: str, operations: int) -> str:
    """A workload in words: `50 puts at once`."""
    words = {
        f"{operation}_{way}": f"{operations} {plural} {how}"
        for operation, plural in _PLURALS.items()
        for way, how in _WAYS.items()
    }
    return words.get(workload, workload)


def workload_place(workload: str) -> int:
    """Where a workload stands: alone before at once, puts before gets before searches."""
    order = [f"{operation}_{way}" for way in _WAYS for operation in _PLURALS]
    return order.index(workload) if workload in order else len(order)


def _place(store: str) -> int:
    return STORES.index(store) if store in STORES else len(STORES)


def _worst(answers: set[Answer]) -> Answer:
    return next((answer for answer in _WORST_FIRST if answer in answers), "not asked")


def _ms(value: float) -> str:
    return "" if math.isnan(value) else milliseconds(value)


def _text(ratio: Estimate | None) -> str:
    return "" if ratio is None else ratio.text("\N{MULTIPLICATION SIGN}")


def _questions() -> dict[str, str]:
    """The contract's questions by the tests that ask them."""
    from harness.contract.langgraph_store import QUESTIONS  # noqa: PLC0415 -- it imports LangGraph

    return QUESTIONS
