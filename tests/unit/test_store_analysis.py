"""What is said of stores follows from what was found of them."""

from datetime import UTC, datetime

import pytest

from harness.analysis.figures.stores import (
    mix_message,
    store_matrix,
    store_mix,
    store_timings,
    timing_message,
)
from harness.analysis.statistics import TIMES
from harness.analysis.stores import (
    answer_frame,
    answer_message,
    difference_table,
    disturbance_message,
    mix_table,
    ratio_table,
    slowdown,
    store_lines,
)
from harness.analysis.summary import summarise
from harness.analysis.words import times
from harness.contract.langgraph_store import QUESTIONS
from harness.contract.store_differences import IN_MEMORY, POSTGRES
from harness.measure.agent_records import Disturbance, StoreMix
from harness.measure.names import OURS, OURS_IN_MEMORY
from harness.measure.records import ContractOutcome, Environment, Outcome, Results, Timing

ENVIRONMENT = Environment(
    python="3.11.7",
    platform="Linux",
    cpu="a processor",
    cores=2,
    memory_bytes=2**33,
    libraries={},
    postgres=None,
)
FIRST, SECOND, *_ = QUESTIONS

Parts = tuple[list[ContractOutcome], list[Timing], list[StoreMix]]


def outcome(store: str, test: str, found: Outcome = "passed", why: str = "") -> ContractOutcome:
    """How a store answered one form of a question."""
    return ContractOutcome(
        backend=store,
        contract="TestStore",
        test=test,
        invariants=[47],
        outcome=found,
        message=why,
        duration_s=0.01,
    )


def timing(subject: str, ms: float, workload: str = "put_at_once") -> Timing:
    """Ten samples of 50 operations."""
    return Timing(
        workload=workload,
        resource="store",
        subject=subject,
        operations=50,
        samples_s=[ms / 1_000 * (1 + n / 100) for n in range(10)],
        order=list(range(10)),
    )


def mix(subject: str, disturbance: Disturbance, ms: float, failed: int = 0) -> StoreMix:
    """Six rounds of four callers."""
    return StoreMix(
        subject=subject,
        callers=4,
        disturbance=disturbance,
        latency_ms=[[ms] * (4 - failed) for _ in range(6)],
        failed=[failed] * 6,
        slow_ms=[80.0] * 6 if disturbance == "slow search" else [],
        order=list(range(6)),
    )


ANSWERS = [
    outcome(IN_MEMORY, FIRST),
    outcome(IN_MEMORY, f"{SECOND}[one]"),
    outcome(IN_MEMORY, f"{SECOND}[two]", "differs", "it is so"),
    outcome(POSTGRES, FIRST, "differs", "both are text"),
    outcome(POSTGRES, SECOND),
    outcome(OURS, FIRST),
    outcome(OURS, SECOND),
]
MIXES = [
    mix(POSTGRES, "none", 10.0),
    mix(POSTGRES, "slow search", 90.0),
    mix(POSTGRES, "bad operation", 0.0, failed=4),
    mix(OURS, "none", 20.0),
    mix(OURS, "slow search", 22.0),
    mix(OURS, "bad operation", 20.0),
]
TIMINGS = [timing(POSTGRES, 2.0), timing(OURS, 10.0), timing(OURS_IN_MEMORY, 1.0)]


def results(
    contract: list[ContractOutcome] = [],  # noqa: B006 -- nobody changes them
    timings: list[Timing] = [],  # noqa: B006
    stores: list[StoreMix] = [],  # noqa: B006
) -> Results:
    """Results of kind stores."""
    return Results(
        kind="stores",
        made_at=datetime(2026, 1, 2, tzinfo=UTC),
        environment=ENVIRONMENT,
        contract=contract,
        timings=timings,
        stores=stores,
    )


def test_a_question_of_several_forms_has_its_worst_answer() -> None:
    """A question stands in one row, in the contract's order, and differs if one form of it does."""
    answers = answer_frame(results(ANSWERS[::-1]))
    assert list(answers.index) == [FIRST, SECOND]
    assert list(answers["question"]) == [QUESTIONS[FIRST], QUESTIONS[SECOND]]
    assert list(answers.columns) == ["question", IN_MEMORY, POSTGRES, OURS]
    assert list(answers[IN_MEMORY]) == ["yes", "differs"]
    assert list(answers[POSTGRES]) == ["differs", "yes"]
    assert list(answers[OURS]) == ["yes", "yes"]


def test_each_difference_is_told_once_with_its_reason() -> None:
    """The table names store, question and reason, and says what nobody expected."""
    failed = outcome(OURS, FIRST, "failed", "assert 1 == 2")
    again = outcome(IN_MEMORY, f"{SECOND}[three]", "differs", "it is so")
    table = difference_table(results([*ANSWERS, again, failed]))
    assert table.to_numpy().tolist() == [
        [IN_MEMORY, QUESTIONS[SECOND], "it is so"],
        [POSTGRES, QUESTIONS[FIRST], "both are text"],
        [OURS, QUESTIONS[FIRST], "unexpected: assert 1 == 2"],
    ]


def test_the_message_counts_answers() -> None:
    """The matrix's title counts what differs, what is unexpected, and names who answers all."""
    assert answer_message(results(ANSWERS)) == (
        f"Of 2 questions {IN_MEMORY} answers 1 differently; {POSTGRES} answers 1 differently; "
        f"{OURS} answers all with yes"
    )
    failed = [*ANSWERS, outcome(POSTGRES, SECOND, "failed")]
    assert f"{POSTGRES} answers 1 unexpectedly" in answer_message(results(failed))
    assert answer_message(results()) == "No store was asked"


@pytest.mark.parametrize(("store", "broken"), [(OURS, True), (POSTGRES, False)])
def test_only_our_store_breaks_a_run(store: str, broken: bool) -> None:
    """A library that changed is shown; a store of ours that answers no breaks the run."""
    found = summarise([results([*ANSWERS, outcome(store, SECOND, "failed")])])
    assert found.broken == broken
    assert [line.mood for line in found.lines if store in line.what] == ["bad"]


def test_the_summary_of_stores() -> None:
    """It says who differs, how far the two of LangGraph's disagree, and what was timed."""
    lines = {line.what: line.found for line in store_lines(results(ANSWERS, TIMINGS, MIXES))}
    assert lines == {
        f"store questions, {IN_MEMORY}": "1 yes, 1 differ, as declared",
        f"store questions, {POSTGRES}": "1 yes, 1 differ, as declared",
        f"store questions, {OURS}": "2 yes",
        "LangGraph's two stores": "disagree on 2 of 2 questions",
        "our store / LangGraph's on Postgres, at once": times(5),
        "a slow search among callers": (
            f"the others take {times(9)} on LangGraph's store and {times(1.1)} on ours as long"
        ),
        "a bad operation among callers": (
            "of the others fail 24 of 24 on LangGraph's store and none on ours"
        ),
    }


def test_ours_is_compared_with_its_like() -> None:
    """Each store of ours stands beside LangGraph's of its kind, and alone where that is missing."""
    [row] = ratio_table(results(timings=TIMINGS)).to_numpy().tolist()
    assert row == ["50 puts at once", f"{OURS} / {POSTGRES}", f"5.00{TIMES} (5.00 to 5.00, n = 10)"]
    assert timing_message(results(timings=TIMINGS)) == (
        f"{OURS} takes {times(5)} as long as {POSTGRES}, longest for 50 puts at once"
    )
    assert timing_message(results()) == "No store was timed"


def test_a_disturbance_is_compared_round_by_round() -> None:
    """The ratio is of medians, has an interval, and is missing where nobody succeeded."""
    found = slowdown(results(stores=MIXES), POSTGRES, "slow search")
    assert found is not None
    assert found.value == pytest.approx(9)
    assert found.interval is not None
    assert slowdown(results(stores=MIXES), POSTGRES, "bad operation") is None
    assert slowdown(results(stores=MIXES), POSTGRES, "none") is None
    assert disturbance_message(results(), "slow search") == ""
    failed = mix_table(results(stores=MIXES))["good callers that failed"]
    assert list(failed) == ["0 of 24", "0 of 24", "24 of 24", "0 of 24", "0 of 24", "0 of 24"]


@pytest.mark.parametrize("draw", [store_matrix, store_timings, store_mix])
def test_pictures_of_nothing_and_of_parts(draw: object) -> None:
    """Every picture can be drawn of results that hold little, and carries its message."""
    assert callable(draw)
    alone: Parts = (
        [outcome(IN_MEMORY, FIRST)],
        [timing(IN_MEMORY, 1.0)],
        [mix(IN_MEMORY, "none", 1.0)],
    )
    failed: Parts = [], [], [mix(POSTGRES, "bad operation", 0.0, failed=4)]
    for found in (results(), results(*alone), results(*failed), results(ANSWERS, TIMINGS, MIXES)):
        figure = draw(found)
        assert figure.png(scale=0.2)
        assert figure.message
    assert mix_message(results()) == "No callers were measured beside one another on Postgres"
