"""Takes samples of several subjects side by side, so that they can be compared pair by pair.

Each round takes one sample of every subject. Rounds come in twos, a shuffled order and its reverse
(A B C, C B A), so that a machine that slowly gets faster or slower favours nobody. Nothing sleeps.
"""

import gc
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

MIN_ROUNDS: Final = 6  # an exact 95 % interval of the median needs as many pairs

Clock = Callable[[], float]
"""Returns seconds; only differences mean anything."""

OnProgress = Callable[[int, int, str], None]
"""Called with samples taken, samples to take, and what is being measured."""


class Case(Protocol):
    """One subject doing one workload."""

    async def prepare(self) -> None:
        """Bring the tables into the state that the workload starts from."""

    async def run(self) -> None:
        """Do the work; the only part that is timed."""

    async def verify(self) -> None:
        """Count what is there now; raise when the work was not done."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be sampled."""

    name: str
    sample: Callable[[], Awaitable[float]]
    """Takes one sample and returns seconds."""


@dataclass(slots=True)
class Samples:
    """What was measured of one subject."""

    seconds: list[float] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    """Position of each sample among all samples of all subjects."""


async def timed(case: Case, *, clock: Clock = time.perf_counter) -> float:
    """Return the seconds that `case.run` takes, without garbage collection.

    Raises:
        ResultsError: Raised by `case.verify`: the work was not done.
    """
    await case.prepare()
    with collection_paused():
        started_s = clock()
        await case.run()
        elapsed_s = clock() - started_s
    await case.verify()
    return elapsed_s


@contextmanager
def collection_paused() -> Iterator[None]:
    """Switch the garbage collector off, and on again if it was on."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def orders(count: int, rounds: int, *, seed: int) -> Iterator[list[int]]:
    """Yield the order of `count` subjects in each round: a shuffle, its reverse, and so on."""
    random = Random(seed)  # noqa: S311 -- an order to measure in, no secret
    order = list(range(count))
    for number in range(rounds):
        if number % 2:
            order.reverse()
        else:
            random.shuffle(order)
        yield list(order)


async def alternate(
    subjects: Sequence[Subject],
    into: Sequence[Samples],
    *,
    rounds: int,
    warm_up: int = 1,
    seed: int = 0,
    budget_s: float = math.inf,
    on_sample: Callable[[], None] = lambda: None,
) -> None:
    """Take up to `rounds` samples of each subject, in rounds of alternating order.

    A round counts once it is complete, so that an interruption leaves pairs behind and no halves.

    Args:
        subjects: Who is sampled.
        into: Where the samples go, one for each subject.
        rounds: Samples to keep of each.
        warm_up: Rounds to take before those and throw away.
        seed: Makes the shuffles, the same ones each time.
        budget_s: Seconds after which no further round begins, once there are `MIN_ROUNDS`.
        on_sample: Called after each sample, warm-up included.
    """
    taken = 0
    began_s = time.perf_counter()
    gc.collect()
    for number, order in enumerate(orders(len(subjects), warm_up + rounds, seed=seed)):
        if number >= warm_up + MIN_ROUNDS and time.perf_counter() - began_s > budget_s:
            return
        seconds: dict[int, float] = {}
        for index in order:
            seconds[index] = await subjects[index].sample()
            on_sample()
        if number < warm_up:
            continue
        for position, index in enumerate(order):
            into[index].seconds.append(seconds[index])
            into[index].order.append(taken + position)
        taken += len(order)
