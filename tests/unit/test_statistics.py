"""Statistics do what they say: the simulations draw from distributions whose medians are known."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.analysis.statistics import (
    Estimate,
    Interval,
    estimate,
    median,
    paired_ratio,
    quantile,
    quantile_interval,
    significant,
    verdict,
)

Draw = Callable[[np.random.Generator, int], np.ndarray]

DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(3.0, 2.0, n), 3.0),
    "exponential": (lambda rng, n: rng.exponential(1.0, n), math.log(2)),
    "lognormal": (lambda rng, n: rng.lognormal(1.0, 1.5, n), math.e),
    "uniform": (lambda rng, n: rng.uniform(0.0, 1.0, n), 0.5),
    "cauchy": (lambda rng, n: rng.standard_cauchy(n), 0.0),
}
ROUNDS = 3_000
TOLERANCE = 0.015  # over three standard deviations of a share of 0.95 in that many rounds


def covered(interval: Interval | None, truth: float) -> bool:
    """Whether there is an interval and it holds the truth."""
    return interval is not None and interval.low <= truth <= interval.high


@pytest.mark.parametrize("n", [6, 15, 40])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_an_interval_covers_the_median_as_often_as_it_claims(name: str, n: int) -> None:
    """Over many samples the true median lies in the interval with the stated probability."""
    draw, truth = DISTRIBUTIONS[name]
    rng = np.random.default_rng(20260214 + n)
    intervals = [quantile_interval(draw(rng, n).tolist(), 0.5) for _ in range(ROUNDS)]
    share = sum(covered(interval, truth) for interval in intervals) / ROUNDS
    claimed = intervals[0].coverage if intervals[0] else 0
    assert claimed >= 0.95
    assert share == pytest.approx(claimed, abs=TOLERANCE)


@pytest.mark.slow
def test_an_interval_covers_a_tail_quantile_as_often_as_it_claims() -> None:
    """The p95 of 200 waits has an exact interval too, though the tail is thin."""
    rng = np.random.default_rng(7)
    truth = -math.log(0.05)
    intervals = [quantile_interval(rng.exponential(1.0, 200).tolist(), 0.95) for _ in range(ROUNDS)]
    share = sum(covered(interval, truth) for interval in intervals) / ROUNDS
    assert share == pytest.approx(intervals[0].coverage if intervals[0] else 0, abs=TOLERANCE)


def test_the_interval_of_a_paired_ratio_covers_it_although_both_halves_drift() -> None:
    """Noise that both halves of a pair share does not disturb their ratio."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(ROUNDS):
        drift = rng.lognormal(0.0, 1.0, 30)
        floor = drift * rng.lognormal(0.0, 0.1, 30)
        backend = 1.3 * drift * rng.lognormal(0.0, 0.1, 30)
        hits += covered(paired_ratio(backend.tolist(), floor.tolist()).interval, 1.3)
    assert hits / ROUNDS == pytest.approx(0.957, abs=TOLERANCE)  # the exact coverage at n = 30


def test_the_interval_of_ten_is_the_published_one() -> None:
    """Tables of the sign test give ranks 2 and 9 of 10 at 97.85 %."""
    interval = quantile_interval(range(1, 11), 0.5)
    assert interval is not None
    assert (interval.low, interval.high) == (2, 9)
    assert interval.coverage == pytest.approx(0.9785, abs=5e-5)


@pytest.mark.parametrize(("n", "enough"), [(0, False), (1, False), (5, False), (6, True)])
def test_fewer_than_six_samples_are_not_enough(n: int, enough: bool) -> None:
    """The extremes of five samples cover the median in 93.75 % only, so there is no interval."""
    assert (estimate([float(x) for x in range(n)]).interval is not None) is enough


def test_thousands_of_samples_do_not_underflow() -> None:
    """The binomial is summed by logarithms: 20,000 samples still have an interval around p99."""
    interval = quantile_interval(range(20_000), 0.99)
    assert interval is not None
    assert 19_760 < interval.low < 19_800 < interval.high < 19_840


@pytest.mark.parametrize("p", [0, 0.25, 0.5, 0.95, 1])
def test_quantiles_are_numpys(p: float) -> None:
    """Our quantile is numpy's default definition, so figures of both agree."""
    samples = np.random.default_rng(3).exponential(1.0, 37).tolist()
    assert quantile(samples, p) == pytest.approx(float(np.quantile(samples, p)))


def test_no_samples_have_no_median() -> None:
    """Nothing measured is NaN and is written as such, never zero."""
    assert math.isnan(median([]))
    assert estimate([]).text("ms") == "not enough data"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.0, 1.3, "met"), (1.31, 1.5, "missed"), (1.2, 1.4, "undecided")],
)
def test_a_verdict_follows_the_interval_and_not_the_median(
    low: float, high: float, expected: str
) -> None:
    """A target is met only when the whole interval keeps to it."""
    ratio = Estimate(value=1.25, interval=Interval(low=low, high=high, coverage=0.95), n=30)
    assert verdict(ratio, 1.3) == expected


def test_a_verdict_without_an_interval_is_none() -> None:
    """Three pairs prove nothing, however good they look."""
    assert verdict(paired_ratio([1, 1, 1], [2, 2, 2]), 1.3) == "not enough data"


def test_pairs_that_are_none_are_refused() -> None:
    """Unequal lengths and times of zero are mistakes of the caller."""
    with pytest.raises(ValueError, match="equal lengths"):
        paired_ratio([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="above 0"):
        paired_ratio([0.0], [1.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,230,000"),
        (9.996, "10.0"),
        (0.00012345, "0.000123"),
        (14.04, "14.0"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_numbers_are_written_for_people(value: float, text: str) -> None:
    """Three significant digits, thousands apart, no exponents."""
    assert significant(value) == text


def test_an_estimate_says_its_unit_interval_and_count() -> None:
    """What a number rests on stands beside it."""
    assert estimate([1.0] * 10).text("ms") == "1.00 ms (1.00 to 1.00, n = 10)"
    assert estimate([2.0]).text("%") == "2.00% (not enough data for an interval, n = 1)"
