"""Records become frames, and frames become messages."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harness.analysis.figures.contract import contract_message
from harness.analysis.figures.pool import (
    busy_message,
    saturation,
    saturation_message,
    timeline_message,
)
from harness.analysis.figures.ratios import ratio_message
from harness.analysis.figures.timings import create_message
from harness.analysis.frames import (
    contract_frame,
    failures_frame,
    pool_frame,
    promise_frame,
    ratio_of,
    timings_frame,
)
from harness.analysis.summary import summarise
from harness.analysis.targets import comparisons
from harness.contract.promises import CONTRACT_PROMISES
from harness.errors import ResultsError
from harness.measure.records import (
    ContractOutcome,
    Environment,
    Outcome,
    PoolCell,
    Results,
    Timing,
)

ENVIRONMENT = Environment(
    python="3.11.7",
    platform="Linux",
    cpu="a processor",
    cores=2,
    memory_bytes=2**33,
    libraries={"psycopg": "3.3.1"},
    postgres=None,
)


def timing(subject: str, ms: float, *, workload: str = "create_sequential") -> Timing:
    """Ten samples of 100 operations, each a little slower than the one before."""
    return Timing(
        workload=workload,
        resource="threads",
        subject=subject,
        operations=100,
        samples_s=[ms / 1_000 * (1 + i / 100) for i in range(10)],
        order=list(range(10)),
    )


def cell(pool_size: int, callers: int, rate: float, *, subject: str = "postgres") -> PoolCell:
    """A pool of that size under that many callers."""
    queued = max(callers - pool_size, 0)
    return PoolCell(
        pool_size=pool_size,
        callers=callers,
        mix="creates",
        subject=subject,
        duration_s=1.0,
        operations=int(rate),
        busy_share=min(callers / pool_size, 1.0) if pool_size else 0.0,
        peak_in_use=min(callers, pool_size),
        wait_ms=[float(queued)] * 10,
        throughput_per_s=rate,
        timeline=[(0.0, min(callers, pool_size), queued), (1.0, 0, 0)],
    )


def outcome(backend: str, number: int, result: Outcome = "passed") -> ContractOutcome:
    """What a test of one promise found."""
    return ContractOutcome(
        backend=backend,
        contract="TestThreads",
        test=f"test_{number}",
        invariants=[number],
        outcome=result,
        message="" if result == "passed" else "it was gone",
        duration_s=0.01,
    )


def results(
    *,
    timings: list[Timing] | None = None,
    pool: list[PoolCell] | None = None,
    contract: list[ContractOutcome] | None = None,
) -> Results:
    """Results of the one kind that is given."""
    return Results(
        kind="timings" if timings else "pool" if pool else "contract",
        made_at=datetime(2026, 2, 14, tzinfo=UTC),
        environment=ENVIRONMENT,
        timings=timings or [],
        pool=pool or [],
        contract=contract or [],
    )


def test_a_sample_is_a_row_in_milliseconds() -> None:
    """Seconds of 100 operations become milliseconds of the sample and of one operation."""
    frame = timings_frame(results(timings=[timing("memory", 50.0)]))
    assert len(frame) == 10
    assert frame["ms"].iloc[0] == pytest.approx(50.0)
    assert frame["per_operation_ms"].iloc[0] == pytest.approx(0.5)
    assert list(frame["pair"]) == list(range(10))


def test_unlike_environments_are_refused() -> None:
    """Samples of another processor are another population."""
    mine = results(timings=[timing("memory", 1.0)])
    other = replace(mine, environment=replace(ENVIRONMENT, cpu="another"))
    assert len(timings_frame([mine, mine])) == 20
    with pytest.raises(ResultsError, match="another"):
        timings_frame([mine, other])


def test_a_ratio_is_that_of_pairs() -> None:
    """Both halves slow down alike, and their ratio stays what it is."""
    found = ratio_of(
        results(timings=[timing("postgres", 60.0), timing("floor", 50.0)]),
        ("create_sequential", "threads", "postgres"),
        ("create_sequential", "threads", "floor"),
    )
    assert found is not None
    assert found.value == pytest.approx(1.2)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(found.interval.high)


def test_nothing_is_compared_with_what_was_not_measured() -> None:
    """A run without floors has no ratios, and says so."""
    found = comparisons(results(timings=[timing("postgres", 60.0)]))
    assert found == []
    assert ratio_message(found) == "Nothing was measured beside a floor"


def test_a_search_is_compared_between_the_fewest_rows_and_the_most() -> None:
    """Whatever the sizes of the plan were, their ends are held against each other."""
    timings = [
        timing("postgres", ms, workload=f"search_10_of_{rows}")
        for rows, ms in ((1_000, 2.2), (100, 2.0), (100_000, 2.4))
    ]
    (found,) = comparisons(results(timings=timings))
    assert found.what == "search of 100,000 / of 100"
    assert found.ratio.value == pytest.approx(1.2)
    assert found.verdict == "met"


def test_the_message_of_creates_names_memory_and_the_floor() -> None:
    """The title is computed from what was measured."""
    timings = [timing("memory", 5.0), timing("postgres", 70.0), timing("floor", 63.0)]
    message = create_message(results(timings=timings), "create_sequential")
    assert message.replace("\N{NO-BREAK SPACE}", " ") == (
        "100 creates one after another: "
        "Postgres takes 14 \N{MULTIPLICATION SIGN} as long as memory "
        "and 1.11 \N{MULTIPLICATION SIGN} the same SQL through bare psycopg"
    )


def test_a_promise_is_broken_by_one_failure_and_kept_by_no_skip() -> None:
    """One failed test outweighs any number of passed ones; a skipped one proves nothing."""
    first, second, third = CONTRACT_PROMISES[:3]
    contract = [
        outcome("memory", first),
        outcome("memory", second, "failed"),
        outcome("memory", second),
        outcome("memory", third, "skipped"),
    ]
    frame = promise_frame(results(contract=contract))
    assert frame.loc[[first, second, third], "memory"].tolist() == ["kept", "broken", "not asked"]
    assert contract_message(results(contract=contract)) == f"memory breaks 1 promise ({second})"


def test_backends_that_keep_everything_are_said_to() -> None:
    """The title of a clean run names how many promises were kept."""
    contract = [outcome(b, n) for b in ("postgres", "memory") for n in CONTRACT_PROMISES]
    assert contract_message(results(contract=contract)) == (
        f"Both backends keep all {len(CONTRACT_PROMISES)} promises of storage"
    )
    assert list(promise_frame(results(contract=contract)).columns) == [
        "promise",
        "memory",
        "postgres",
    ]


def test_a_failure_without_a_promise_is_not_hidden() -> None:
    """A failed test that names no promise still counts as broken, and says why it failed."""
    lone = replace(outcome("memory", 2, "failed"), invariants=[])
    found = results(contract=[lone])
    assert "1 test failed" in contract_message(found)
    assert failures_frame(found)["why"].tolist() == ["it was gone"]
    assert len(contract_frame(found)) == 1
    assert summarise([found]).broken


def test_the_message_of_saturation_names_the_smallest_pool_that_suffices() -> None:
    """More connections than needed are said to add nothing, or how little."""
    cells = [cell(1, 200, 1_000), cell(5, 200, 3_900), cell(10, 200, 4_000)]
    assert saturation_message(pool_frame(results(pool=cells))) == (
        "5 connections reach 3,900 creates a second, 3.9 times what 1 does; 10 add 3%"
    )


def test_a_load_under_which_nothing_was_done_in_time_does_not_spoil_the_picture() -> None:
    """On a machine that is too busy a short cell may end before its first operation does."""
    cells = [cell(1, 200, 0), cell(5, 20, 3_900), cell(5, 200, 0)]
    figure = saturation(results(pool=cells))
    assert figure.message == "5 connections reach 3,900 creates a second"
    assert figure.png().startswith(b"\x89PNG")
    assert saturation(results(pool=cells[:1])).message == "No pool was measured"


def test_the_message_of_busy_shares_names_the_load_that_uses_the_pool_up() -> None:
    """The largest pool is the one that is asked about."""
    frame = pool_frame(results(pool=[cell(10, callers, 1.0) for callers in (1, 5, 10)]))
    table = frame.pivot_table(index="pool_size", columns="callers", values="busy_share")
    assert busy_message(table) == "The pool of 10 is used up by 10 concurrent callers"
    assert busy_message(table[[1, 5]]) == (
        "The pool of 10 is never used up: its connections are busy 50% at most"
    )


def test_the_message_of_a_timeline_names_the_longest_queue() -> None:
    """The queue's length is read from the timeline."""
    assert timeline_message(cell(10, 50, 1.0)) == (
        "The pool of 10 is 100% busy, and at most 40 callers wait in the queue"
    )


def test_memory_has_no_waits() -> None:
    """Quantiles of nothing are NaN, not zero."""
    memory = replace(cell(0, 1, 9_000.0, subject="memory"), wait_ms=[])
    assert pool_frame(results(pool=[memory]))["wait_p99_ms"].isna().all()


def test_an_interrupted_run_says_so() -> None:
    """What was there by then is shown, and marked."""
    found = replace(results(contract=[outcome("memory", 2)]), complete=False)
    assert any("interrupted" in line.found for line in summarise([found]).lines)
