"""Samples are taken side by side, in alternating order, and only the work is timed."""

import gc
from collections import Counter

import pytest

from harness.errors import ResultsError
from harness.measure.paired import Samples, Subject, alternate, orders, timed


class Tape:
    """A clock that everybody winds, and a list of what happened."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.events: list[str] = []

    def clock(self) -> float:
        """Return the time."""
        return self.now_s


class Work:
    """A case whose three parts take 100, `cost_s` and 1,000 seconds of the tape's clock."""

    def __init__(self, tape: Tape, cost_s: float) -> None:
        self.tape, self.cost_s = tape, cost_s
        self.collector_was_on = True

    async def prepare(self) -> None:
        """Take long."""
        self.tape.now_s += 100
        self.tape.events.append("prepare")

    async def run(self) -> None:
        """Take `cost_s`."""
        self.tape.now_s += self.cost_s
        self.tape.events.append("run")
        self.collector_was_on = gc.isenabled()

    async def verify(self) -> None:
        """Take very long."""
        self.tape.now_s += 1_000
        self.tape.events.append("verify")


async def test_only_the_work_is_timed() -> None:
    """Preparing and verifying happen outside the clock, in this order."""
    tape = Tape()
    assert await timed(Work(tape, 3.5), clock=tape.clock) == 3.5
    assert tape.events == ["prepare", "run", "verify"]


async def test_garbage_waits_until_the_clock_has_stopped() -> None:
    """The collector is off during the work, and on again after it."""
    work = Work(Tape(), 1)
    await timed(work)
    assert not work.collector_was_on
    assert gc.isenabled()


async def test_work_that_was_not_done_is_no_sample() -> None:
    """What `verify` raises comes out, and no time is returned."""

    class Idle(Work):
        async def verify(self) -> None:
            """Find a row missing."""
            raise ResultsError("100 rows were asked for, and 99 are there")

    with pytest.raises(ResultsError, match="99 are there"):
        await timed(Idle(Tape(), 1))


def test_orders_cancel_a_drift() -> None:
    """Every second round reverses the one before, so each subject has the same mean position."""
    positions: Counter[int] = Counter()
    for order in orders(5, 30, seed=1):
        assert sorted(order) == [0, 1, 2, 3, 4]
        for position, subject in enumerate(order):
            positions[subject] += position
    assert set(positions.values()) == {60}


def test_orders_are_shuffled() -> None:
    """No subject always follows the same one."""
    assert len({tuple(order) for order in orders(4, 40, seed=1)}) > 10


async def test_pairs_stand_side_by_side() -> None:
    """Sample i of each subject was taken in round i; the warm-up is thrown away."""
    calls: list[str] = []

    def subject(name: str) -> Subject:
        async def sample() -> float:
            calls.append(name)
            return float(len(calls))

        return Subject(name, sample)

    into = [Samples(), Samples(), Samples()]
    await alternate([subject("a"), subject("b"), subject("c")], into, rounds=4, warm_up=2)
    assert len(calls) == 18
    for number in range(4):
        assert {samples.order[number] // 3 for samples in into} == {number}
        assert {samples.order[number] + 7 for samples in into} == {
            samples.seconds[number] for samples in into
        }


async def test_an_interruption_leaves_whole_rounds() -> None:
    """When the third round breaks off after its first sample, two rounds are kept."""
    taken = 0

    async def sample() -> float:
        nonlocal taken
        taken += 1
        if taken == 6:
            raise KeyboardInterrupt
        return 1.0

    into = [Samples(), Samples()]
    with pytest.raises(KeyboardInterrupt):
        await alternate(
            [Subject("a", sample), Subject("b", sample)],
            into,
            rounds=9,
            warm_up=0,
        )
    assert [len(samples.seconds) for samples in into] == [2, 2]
    assert sorted(into[0].order + into[1].order) == [0, 1, 2, 3]
