"""The pool gauge is exact: known intervals on a fake clock give the numbers of a closed formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.gauge import Checkout, Gauge, read, thinned


class FakeClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_one_checkout() -> None:
    """A connection held for 2 of 10 seconds of a pool of 4 is busy for a twentieth."""
    reading = read([Checkout(1.0, 1.5, 3.5)], pool_size=4, start_s=0, end_s=10)
    assert reading.busy_share == pytest.approx(0.05)
    assert reading.peak_in_use == 1
    assert reading.wait_ms == [500.0]
    assert reading.timeline == [(0, 0, 0), (1, 0, 1), (1.5, 1, 0), (3.5, 0, 0), (10, 0, 0)]


def test_back_to_back_checkouts_fill_a_pool_of_one() -> None:
    """Handed on without a gap, one connection is busy all the time and never counted twice."""
    checkouts = [Checkout(0.0, float(t), float(t + 1)) for t in range(5)]
    reading = read(checkouts, pool_size=1, start_s=0, end_s=5)
    assert reading.busy_share == 1.0
    assert reading.peak_in_use == 1
    assert reading.wait_ms == [0, 1_000, 2_000, 3_000, 4_000]
    assert [queued for _, _, queued in reading.timeline] == [4, 3, 2, 1, 0, 0]


def test_edges_cut() -> None:
    """What began before the period or goes on after it counts inside the period only."""
    checkouts = [Checkout(0.0, 0.0, 12.0), Checkout(19.0, 19.5, None), Checkout(18.0, None, None)]
    reading = read(checkouts, pool_size=2, start_s=10, end_s=20)
    assert reading.busy_share == pytest.approx((2 + 0.5) / 20)
    assert reading.wait_ms == [500.0]
    assert reading.timeline[-1] == (10, 1, 1)


def test_giving_up_leaves_the_queue() -> None:
    """A caller that never got a connection was queued until it left, and held nothing."""
    reading = read([Checkout(1.0, None, 4.0)], pool_size=1, start_s=0, end_s=10)
    assert reading.busy_share == 0
    assert reading.peak_in_use == 0
    assert reading.wait_ms == []
    assert reading.timeline == [(0, 0, 0), (1, 0, 1), (4, 0, 0), (10, 0, 0)]


def test_an_empty_period_is_refused() -> None:
    """There is no share of no time."""
    with pytest.raises(ValueError, match="empty"):
        read([], pool_size=1, start_s=3, end_s=3)


def test_recording() -> None:
    """Events on a clock become the checkouts they were, what is unfinished included."""
    clock = FakeClock()
    gauge = Gauge(clock)
    first, second, third = gauge.asked(), gauge.asked(), gauge.asked()
    clock.now_s = 1
    gauge.taken(first, 77)
    clock.now_s = 2
    gauge.given(77)
    gauge.taken(second, 77)
    clock.now_s = 3
    gauge.gave_up(third)
    gauge.asked()
    assert gauge.checkouts() == [
        Checkout(0, 1, 2),
        Checkout(0, None, 3),
        Checkout(0, 2, None),
        Checkout(3, None, None),
    ]


def test_a_connection_taken_before_the_watch_is_passed_over() -> None:
    """Its return says nothing, since nobody knows when it was taken."""
    gauge = Gauge(FakeClock())
    gauge.given(5)
    assert gauge.checkouts() == []


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(0, 20)).map(
            lambda part: Checkout(part[0], part[0] + part[1], sum(part))
        ),
        max_size=30,
    )
)
def test_sums_agree(checkouts: list[Checkout]) -> None:
    """The timeline's areas equal the sums over checkouts: held time, and queued time."""
    reading = read(checkouts, pool_size=3, start_s=0, end_s=100)
    held = queued = 0.0
    for (t_s, in_use, waiting), (next_s, *_) in zip(
        reading.timeline, reading.timeline[1:], strict=False
    ):
        held += in_use * (next_s - t_s)
        queued += waiting * (next_s - t_s)
    assert held == pytest.approx(sum(c.given_s - c.taken_s for c in checkouts))  # type: ignore[operator,misc]  # all were taken and given
    assert held == pytest.approx(reading.busy_share * 3 * 100)
    assert queued == pytest.approx(sum(reading.wait_ms) / 1_000)
    assert reading.timeline[-1] == (100, 0, 0)


def test_thinning_keeps_the_ends() -> None:
    """Evenly spaced by rank, the smallest and the largest among them."""
    kept = thinned(range(1_001), 11)
    assert kept == [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]
    assert thinned([3, 1], 11) == [3, 1]
