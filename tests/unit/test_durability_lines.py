"""What is said of durability follows from the cells."""

from datetime import UTC, datetime

from harness.analysis.durability import (
    NOTHING,
    durability_frame,
    durability_lines,
    durability_message,
    durability_table,
)
from harness.analysis.figures import deaths
from harness.analysis.summary import summarise
from harness.measure.agent_records import Durability, DurabilityCell
from harness.measure.records import Results
from tests.unit.test_frames import ENVIRONMENT


def cell(
    durability: Durability, died_at: int, *, stored: int, told: int, finished: bool = True
) -> DurabilityCell:
    """A run of 20 supersteps whose caller saw one result more than it was given states."""
    return DurabilityCell(
        durability=durability,
        steps=20,
        died_at=died_at,
        seen=told + 1,
        acknowledged=told,
        stored=stored,
        resumable=stored > 0,
        executed_again=told + 1 - stored,
        lost=max(0, told - stored),
        finished=finished,
    )


def results(*cells: DurabilityCell, complete: bool = True) -> Results:
    """Results that hold these."""
    return Results(
        kind="durability",
        made_at=datetime(2026, 2, 14, tzinfo=UTC),
        environment=ENVIRONMENT,
        durability=list(cells),
        complete=complete,
    )


MEASURED = results(
    cell("exit", 10, stored=0, told=19),
    cell("sync", 10, stored=10, told=10),
    cell("sync", 1, stored=1, told=1),
    cell("async", 10, stored=7, told=19),
)


def test_the_message_is_the_worst_of_each() -> None:
    """The safest comes first, and each says the most that it lost."""
    assert durability_message(durability_frame(MEASURED)) == (
        "Of the supersteps that were acknowledged, sync lost none, async lost up to 12 of 20 and "
        "exit lost up to 19 of 20"
    )
    assert deaths(MEASURED).message == durability_message(durability_frame(MEASURED))


def test_sync_that_loses_is_bad() -> None:
    """Losing is what `async` and `exit` may do, and what `sync` may not."""
    moods = {line.what: line.mood for line in durability_lines(MEASURED)}
    assert list(moods.values()) == ["good", "plain", "plain"]
    [line] = durability_lines(results(cell("sync", 10, stored=9, told=10)))
    assert line.mood == "bad"
    assert line.found.startswith("up to 1 of 20 acknowledged supersteps lost in 1 death")


def test_a_resumed_run_that_is_not_whole_is_bad() -> None:
    """Steps that are missing or twice there after resuming are said, whatever the durability."""
    [line] = durability_lines(results(cell("async", 10, stored=9, told=19, finished=False)))
    assert line.mood == "bad"
    assert "1 resumed run not whole" in line.found


def test_the_table_tells_life_from_death() -> None:
    """What was told before the death and lost is told apart, and where resumed runs began."""
    table = durability_table(MEASURED).set_index("durability")
    assert list(table["of those, before the death"]) == ["none", "up to 3", "up to 10"]
    assert list(table["went on from"]) == ["a checkpoint (2)", "a checkpoint (1)", "the input (1)"]


def test_nothing_measured_is_said() -> None:
    """Without a server to kill there is a sentence and no number; an interruption says itself."""
    assert [line.found for line in durability_lines(results())] == [NOTHING]
    assert deaths(results()).message == NOTHING
    [line] = summarise([results(complete=False)]).lines
    assert "interrupted" in line.found
