"""Records become pandas frames, one row per thing that was measured."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import pandas as pd

from harness.analysis.statistics import Estimate, paired_ratio, quantile
from harness.contract.promises import CONTRACT_PROMISES, PROMISES
from harness.measure.records import ContractOutcome, Results, Timing, pooled

PromiseState = Literal["kept", "broken", "not asked"]

BACKENDS: Final = ("memory", "postgres")
"""The backends in the order that pictures and tables show them."""


def timings_frame(results: Results | Sequence[Results]) -> pd.DataFrame:
    """One row per sample, whose time stands as `ms` and as `per_operation_ms`.

    Samples of one workload and resource with the same `pair` were taken side by side.

    Raises:
        ResultsError: The results come from unlike environments.
    """
    rows = [
        {
            "workload": timing.workload,
            "resource": timing.resource,
            "subject": timing.subject,
            "pair": pair,
            "order": order,
            "operations": timing.operations,
            "ms": seconds * 1_000,
            "per_operation_ms": seconds * 1_000 / timing.operations,
        }
        for timing in _one(results).timings
        for pair, (seconds, order) in enumerate(zip(timing.samples_s, timing.order, strict=True))
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "workload",
            "resource",
            "subject",
            "pair",
            "order",
            "operations",
            "ms",
            "per_operation_ms",
        ],
    )


def ratio_of(
    results: Results,
    numerator: tuple[str, str, str],
    denominator: tuple[str, str, str],
) -> Estimate | None:
    """Return the paired ratio of two timings per operation; None if one of them is not there.

    Samples of the same index were taken side by side, or else the two may not be compared so.

    Args:
        results: Where to look.
        numerator: Workload, resource and subject.
        denominator: The same of what it is compared with.
    """
    above, below = _timing(results, numerator), _timing(results, denominator)
    if above is None or below is None:
        return None
    return paired_ratio(
        [seconds / above.operations for seconds in above.samples_s],
        [seconds / below.operations for seconds in below.samples_s],
    )


def pool_frame(results: Results | Sequence[Results]) -> pd.DataFrame:
    """One row per cell, with the quantiles of its waits in milliseconds.

    Raises:
        ResultsError: The results come from unlike environments.
    """
    rows = [
        {
            "subject": cell.subject,
            "mix": cell.mix,
            "pool_size": cell.pool_size,
            "callers": cell.callers,
            "operations": cell.operations,
            "duration_s": cell.duration_s,
            "throughput_per_s": cell.throughput_per_s,
            "busy_share": cell.busy_share,
            "peak_in_use": cell.peak_in_use,
            "wait_p50_ms": quantile(cell.wait_ms, 0.50),
            "wait_p95_ms": quantile(cell.wait_ms, 0.95),
            "wait_p99_ms": quantile(cell.wait_ms, 0.99),
        }
        for cell in _one(results).pool
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "subject",
            "mix",
            "pool_size",
            "callers",
            "operations",
            "duration_s",
            "throughput_per_s",
            "busy_share",
            "peak_in_use",
            "wait_p50_ms",
            "wait_p95_ms",
            "wait_p99_ms",
        ],
    )


def contract_frame(results: Results | Sequence[Results]) -> pd.DataFrame:
    """One row per test and backend.

    Raises:
        ResultsError: The results come from unlike environments.
    """
    rows = [
        {
            "backend": outcome.backend,
            "contract": outcome.contract,
            "test": outcome.test,
            "invariants": tuple(outcome.invariants),
            "outcome": outcome.outcome,
            "message": outcome.message,
            "duration_s": outcome.duration_s,
        }
        for outcome in _one(results).contract
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "backend",
            "contract",
            "test",
            "invariants",
            "outcome",
            "message",
            "duration_s",
        ],
    )


def promise_frame(results: Results | Sequence[Results]) -> pd.DataFrame:
    """One row per promise that storage can be asked for, one column of states per backend.

    A promise is `broken` when a test that stands for it failed, `kept` when all that ran passed,
    and `not asked` when none ran. The index is the promise's number; `promise` is its text.

    Raises:
        ResultsError: The results come from unlike environments.
    """
    outcomes = _one(results).contract
    backends = ordered_backends({outcome.backend for outcome in outcomes})
    by_promise: dict[tuple[int, str], list[ContractOutcome]] = {}
    for outcome in outcomes:
        for number in outcome.invariants:
            by_promise.setdefault((number, outcome.backend), []).append(outcome)
    numbers = sorted({*CONTRACT_PROMISES, *(number for number, _ in by_promise)})
    columns: Mapping[str, list[str]] = {
        "promise": [PROMISES[n].text if n in PROMISES else f"promise {n}" for n in numbers],
        **{
            backend: [_state(by_promise.get((number, backend), ())) for number in numbers]
            for backend in backends
        },
    }
    return pd.DataFrame(columns, index=pd.Index(numbers, name="number"))


def failures_frame(results: Results | Sequence[Results]) -> pd.DataFrame:
    """One row per failed test: backend, promises, test, why.

    Raises:
        ResultsError: The results come from unlike environments.
    """
    rows = [
        {
            "backend": outcome.backend,
            "promises": ", ".join(str(number) for number in outcome.invariants) or "none",
            "test": f"{outcome.contract}.{outcome.test}",
            "why": outcome.message,
        }
        for outcome in _one(results).contract
        if outcome.outcome == "failed"
    ]
    return pd.DataFrame(rows, columns=["backend", "promises", "test", "why"])


def ordered_backends(backends: set[str]) -> list[str]:
    """Memory, Postgres, and then whatever else there is, by name."""
    known = [backend for backend in BACKENDS if backend in backends]
    return [*known, *sorted(backends.difference(BACKENDS))]


def _state(outcomes: Sequence[ContractOutcome]) -> PromiseState:
    if any(outcome.outcome == "failed" for outcome in outcomes):
        return "broken"
    return "kept" if any(outcome.outcome == "passed" for outcome in outcomes) else "not asked"


def _timing(results: Results, which: tuple[str, str, str]) -> Timing | None:
    return next(
        (t for t in results.timings if (t.workload, t.resource, t.subject) == which),
        None,
    )


def _one(results: Results | Sequence[Results]) -> Results:
    return results if isinstance(results, Results) else pooled(results)
