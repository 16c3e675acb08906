"""Two sides, one history: calls both, and demands the same answer or the same kind of error."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis.stateful import RuleBasedStateMachine, invariant

from harness.contract.stateful.strategies import Id, fixed_id
from harness.errors import HarnessError
from harness.storage.extensions import FullStorage
from harness.storage.probe import TABLES, Probe

if TYPE_CHECKING:
    from harness.models import Lease

_MOMENTS: Final = frozenset(
    {
        "created_at",
        "updated_at",
        "state_updated_at",
        "due_at",
        "expires_at",
        "leased_until",
        "shortened_at",
    }
)
_OWN_WAY: Final = frozenset({"seq", "token", "lease_token"})
"""What every backend makes in its own way."""


@dataclass(slots=True)
class Side:
    """An empty storage, what looks behind it, and its values of the ids that have names."""

    storage: FullStorage
    probe: Probe
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def bind(self, name: str, value: str, full_name: str) -> None:
        """Let a name stand for an id that this side's storage made."""
        self.ids[name] = value
        self.names[value] = full_name

    def own(self, argument: Any) -> Any:
        """Return an argument with this side's ids in it."""
        if isinstance(argument, Id):
            value = self.ids.setdefault(str(argument), fixed_id(argument))
            self.names.setdefault(value, str(argument))
            return value
        if type(argument) is dict:
            return {key: self.own(value) for key, value in argument.items()}
        return [self.own(value) for value in argument] if type(argument) is list else argument


Answer = Any
OpenSide = Callable[[], Awaitable[Side]]


class TwoSides(RuleBasedStateMachine):
    """A history that happens to a model and to a subject alike."""

    runner: ClassVar[asyncio.Runner]
    """Runs each call to its end; both sides live on its loop."""
    open_model: ClassVar[OpenSide]
    open_subject: ClassVar[OpenSide]

    def __init__(self) -> None:
        super().__init__()
        open_model, open_subject = type(self).open_model, type(self).open_subject
        self.sides = (
            self.runner.run(_opened(open_model)),
            self.runner.run(_opened(open_subject)),
        )
        self.leases: list[tuple[Lease, Lease]] = []
        self._made = 0
        self._steps = 0

    def call(self, method: str, *arguments: Any, **keywords: Any) -> tuple[Answer, Answer] | None:
        """Call `method`, such as "threads.get", on both sides; return the answers.

        None when both refused, with errors of one type.
        """
        own = [([*side.own(list(arguments))], side.own(keywords)) for side in self.sides]
        return self._compare(
            method,
            [
                attrgetter(method)(side.storage)(*given, **named)
                for side, (given, named) in zip(self.sides, own, strict=True)
            ],
        )

    def same(self, method: str, *arguments: Any, **keywords: Any) -> tuple[Answer, Answer] | None:
        """Call `method` and demand that the answers are alike; return them."""
        answers = self.call(method, *arguments, **keywords)
        if answers is not None:
            self.expect_same(method, answers)
        return answers

    def call_leased(self, method: str, which: int, **keywords: Any) -> None:
        """Call a method of the run queue with one of the leases that were ever given out."""
        if self.leases:
            pair = self.leases[which % len(self.leases)]
            calls = [
                attrgetter(method)(side.storage)(lease, **keywords)
                for side, lease in zip(self.sides, pair, strict=True)
            ]
            answers = self._compare(method, calls)
            if answers is not None:
                self.expect_same(method, answers)

    def behind(self, method: str, *arguments: Any, **keywords: Any) -> None:
        """Call a probe's method on both sides."""
        for side in self.sides:
            call = getattr(side.probe, method)
            self.runner.run(call(*side.own(list(arguments)), **side.own(keywords)))

    def bind(self, name: str, pair: tuple[str, str]) -> None:
        """Let a name stand for the ids that both sides made in the same step."""
        self._made += 1
        for side, value in zip(self.sides, pair, strict=True):
            side.bind(name, value, f"{name}-{self._made}")

    def expect_same(self, method: str, answers: tuple[Answer, Answer]) -> None:
        """Demand that two answers are alike, but for times and the names of ids."""
        model, subject = (
            _text(answer, side.names) for answer, side in zip(answers, self.sides, strict=True)
        )
        assert model == subject, f"{method} answered differently"

    @invariant()
    def same_number_of_rows(self) -> None:
        """Neither side has a row too many, looked at now and then: it is seven statements."""
        self._steps += 1
        if self._steps % 5:
            return
        model, subject = (self.runner.run(_counts(side.probe)) for side in self.sides)
        assert model == subject, "the sides hold different numbers of rows"

    def teardown(self) -> None:
        """Compare all that is stored in the end."""
        for table in TABLES:
            model, subject = (
                sorted(_text(row, side.names) for row in self.runner.run(side.probe.rows(table)))
                for side in self.sides
            )
            assert model == subject, f"{table} holds different rows"

    def _compare(self, method: str, calls: list[Awaitable[Answer]]) -> tuple[Answer, Answer] | None:
        model, subject = [self.runner.run(_outcome(call)) for call in calls]
        if isinstance(model, HarnessError) or isinstance(subject, HarnessError):
            assert type(model) is type(subject), (
                f"{method}: model gave {model!r}, subject {subject!r}"
            )
            return None
        return model, subject


async def _opened(open_side: OpenSide) -> Side:
    return await open_side()


async def _outcome(call: Awaitable[Answer]) -> Answer | HarnessError:
    try:
        return await call
    except HarnessError as exc:
        return exc


async def _counts(probe: Probe) -> dict[str, int]:
    return {table: await probe.count(table) for table in TABLES}


def _text(answer: Any, names: Mapping[str, str]) -> str:
    """Return an answer as JSON text, in which `1`, `1.0`, `"1"` and `true` differ."""
    return json.dumps(_plain(answer, names), sort_keys=True, indent=1)


def _plain(value: Any, names: Mapping[str, str]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    if isinstance(value, Mapping):
        # Times differ between the sides, their order within a row does not.
        moments = sorted({value[key] for key in _MOMENTS & value.keys() if _is_time(value[key])})
        return {
            key: moments.index(item)
            if key in _MOMENTS and item in moments
            else (item is not None if key in _OWN_WAY else _plain(item, names))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, names) for item in value]
    if isinstance(value, str):
        return names.get(value, value)
    return value.isoformat() if isinstance(value, datetime) else value


def _is_time(value: Any) -> bool:
    return isinstance(value, datetime)
