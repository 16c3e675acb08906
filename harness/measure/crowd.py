"""Many conversations at once, subject beside subject: their turns, round by round."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Generic, Protocol, TypeVar

from harness.measure.paired import Samples, Subject, alternate
from harness.measure.running import Progress
from harness.measure.streamers import Turn

WARM_UP: Final = 1
"""Rounds before the first that counts."""


class Answerer(Protocol):
    """Who can be asked by so many conversations at once."""

    @property
    def name(self) -> str:
        """What it is called while it is measured."""
        ...


AnswererT = TypeVar("AnswererT", bound=Answerer)


Sample = Callable[[AnswererT], Awaitable[tuple[float, list[Turn]]]]
"""Asks all conversations of a round; returns the seconds of all, and the turn of each."""


class Crowd(Generic[AnswererT]):
    """Subjects under one load, side by side.

    Args:
        subjects: Whom to ask.
        sample: Asks one of them.
    """

    def __init__(self, subjects: Sequence[AnswererT], sample: Sample[AnswererT]) -> None:
        self._subjects, self._sample = subjects, sample
        self._samples = [Samples() for _ in subjects]
        self._turns: list[list[list[Turn]]] = [[] for _ in subjects]

    async def take(self, *, rounds: int, seed: int, budget_s: float, progress: Progress) -> None:
        """Ask everybody in turns, after a warm-up; `progress` ends where it would with all rounds.

        Args:
            rounds: How often.
            seed: Of the order.
            budget_s: After which no further round begins.
            progress: Told after each sample.
        """
        ends_at = progress.done + len(self._subjects) * (WARM_UP + rounds)
        await alternate(
            [
                self._subject(one, turns)
                for one, turns in zip(self._subjects, self._turns, strict=True)
            ],
            self._samples,
            rounds=rounds,
            warm_up=WARM_UP,
            seed=seed,
            budget_s=budget_s,
            on_sample=progress.step,
        )
        progress.done = ends_at

    def whole_rounds(self) -> Iterator[tuple[AnswererT, Samples, list[list[Turn]]]]:
        """Yield who was asked, with the samples and the turns of the rounds that count."""
        for one, samples, turns in zip(self._subjects, self._samples, self._turns, strict=True):
            if samples.seconds:
                yield one, samples, turns[WARM_UP : WARM_UP + len(samples.seconds)]

    def _subject(self, one: AnswererT, turns: list[list[Turn]]) -> Subject:
        async def sample() -> float:
            elapsed_s, taken = await self._sample(one)
            turns.append(taken)
            return elapsed_s

        return Subject(one.name, sample)
