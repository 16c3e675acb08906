"""A verdict: one line for each root cause of what a subject breaks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from harness.measure.records import ContractOutcome
from harness.subjects.subject import Kind

State = Literal["broken", "refused", "not offered", "not asked", "kept"]
STATES: Final[tuple[State, ...]] = ("broken", "refused", "not offered", "not asked", "kept")
"""What a cause says of a promise, the worst first."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for which tests ended alike."""

    state: State
    what: str
    """A line that names it."""
    tests: tuple[ContractOutcome, ...]

    @property
    def promises(self) -> tuple[int, ...]:
        """The numbers of the promises that its tests ask about."""
        return tuple(sorted({number for test in self.tests for number in test.invariants}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out about a subject."""

    subject: str
    kind: Kind
    class_name: str
    distribution: str
    """Name and version; empty where it is none's."""
    made_at: datetime
    duration_s: float
    answers: tuple[ContractOutcome, ...]
    ours: bool
    """Whether promises that are this project's alone are counted too."""

    @property
    def counted(self) -> tuple[ContractOutcome, ...]:
        """The answers that the verdict rests on."""
        return tuple(one for one in self.answers if self.ours or not one.ours)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Everything that was found, the worst first."""
        return causes_of(self.counted)

    @property
    def broken(self) -> tuple[Cause, ...]:
        """The faults."""
        return tuple(one for one in self.causes if one.state == "broken")


def causes_of(answers: Iterable[ContractOutcome]) -> tuple[Cause, ...]:
    """Group answers by their root cause: error and innermost line of the subject, or the test."""
    groups: dict[tuple[State, str], list[ContractOutcome]] = {}
    for answer in answers:
        state = _state(answer)
        groups.setdefault((state, _what(state, answer)), []).append(answer)
    found = (Cause(state, what, tuple(tests)) for (state, what), tests in groups.items())
    return tuple(sorted(found, key=lambda one: (STATES.index(one.state), -len(one.tests))))


def _state(answer: ContractOutcome) -> State:
    if answer.outcome == "passed":
        return "refused" if answer.message else "kept"
    if answer.error == "NotImplementedError":
        return "not offered"
    return "broken" if answer.outcome == "failed" else "not asked"


def _what(state: State, answer: ContractOutcome) -> str:
    if state == "kept":
        return "kept"
    if state == "not offered":
        method = answer.place.rpartition(" in ")[2]
        return f"{method or answer.test} raises NotImplementedError"
    if state == "broken" and answer.place:
        return f"{answer.error} at {answer.place}"
    if state == "broken":
        return answer.asked.partition("\n")[0].strip() or answer.test
    return answer.message
