"""What is said of restarts follows from the records."""

from datetime import UTC, datetime

from harness.analysis.figures import restart_times
from harness.analysis.restarts import NOTHING, restart_lines, restart_message, restarts_frame
from harness.analysis.summary import summarise
from harness.measure.records import Results, pooled
from harness.measure.restart_records import EndedBy, ServerRestart
from tests.unit.test_frames import ENVIRONMENT


def restart(
    subject: str,
    ended_by: EndedBy,
    *,
    ended_s: float = 0.5,
    answered_s: float = 2.0,
    continued_s: float | None = None,
    done_again: int | None = None,
) -> ServerRestart:
    """A restart; ready a little before the first answer."""
    return ServerRestart(
        subject=subject,
        ended_by=ended_by,
        lease_s=5.0,
        steps=12,
        ended_s=ended_s,
        ready_s=answered_s - 0.1,
        answered_s=answered_s,
        continued_s=continued_s,
        seen=4,
        done_again=done_again,
    )


def results(*restarts: ServerRestart, complete: bool = True) -> Results:
    """Results that hold these."""
    return Results(
        kind="restarts",
        made_at=datetime(2026, 2, 14, tzinfo=UTC),
        environment=ENVIRONMENT,
        restarts=list(restarts),
        complete=complete,
    )


MEASURED = results(
    restart("memory", "SIGTERM", answered_s=1.5),
    restart("postgres", "SIGTERM", continued_s=2.5, done_again=0),
    restart("postgres", "SIGKILL", ended_s=0.1, continued_s=4.9, done_again=0),
    restart("postgres", "SIGKILL", ended_s=0.1, continued_s=5.1, done_again=1),
)


def test_seconds_count_from_the_signal() -> None:
    """Whatever a restart waits for counts, the end of the process before it included."""
    frame = restarts_frame(MEASURED)
    assert list(frame["gone_s"]) == [0.5, 0.5, 0.1, 0.1]
    assert list(frame["answers_s"]) == [2.0, 2.5, 2.1, 2.1]
    assert list(frame["goes_on_s"].dropna().round(6)) == [3.0, 5.0, 5.2]


def test_the_message_is_of_medians() -> None:
    """The first server's answer and the last one's, and each signal's run, forgotten or not."""
    assert restart_message(restarts_frame(MEASURED)) == (
        "A restarted server answers again 2.0 s to 2.5 s after the signal; the run that was cut "
        "off goes on after 3.0 s (SIGTERM) and 5.1 s (SIGKILL) on Postgres and is forgotten in "
        "memory"
    )
    assert restart_times(MEASURED).message == restart_message(restarts_frame(MEASURED))
    alone = results(restart("memory", "SIGTERM", answered_s=1.5))
    assert restart_times(alone).message == (
        "A restarted server answers again 2.0 s after the signal; the run that was cut off is "
        "forgotten in memory"
    )


def test_each_signal_has_its_line() -> None:
    """With how long the server was away, and how much was done again."""
    found = {line.what: line.found for line in restart_lines(MEASURED)}
    assert found == {
        "restart in mid-run, memory, SIGTERM": (
            "answers again 2.0 s after the signal; the run is forgotten"
        ),
        "restart in mid-run, postgres, SIGTERM": (
            "answers again 2.5 s after the signal; the run goes on after 3.0 s, "
            "no step that was seen done again"
        ),
        "restart in mid-run, postgres, SIGKILL": (
            "answers again 2.1 s after the signal; the run goes on after 5.1 s, "
            "up to 1 step that was seen done again"
        ),
    }


def test_nothing_measured_is_said() -> None:
    """A measurement that was interrupted at its beginning has no line of its own."""
    assert restart_lines(results()) == []
    assert restart_times(results()).message == NOTHING
    [line] = summarise([results(complete=False)]).lines
    assert "interrupted" in line.found


def test_restarts_of_several_runs_are_pooled() -> None:
    """Each counts."""
    assert len(pooled([MEASURED, MEASURED]).restarts) == 8
