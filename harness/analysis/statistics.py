"""Medians, quantiles and ratios with exact intervals: pure functions of samples.

Timings are skewed and have outliers, so nothing here assumes a distribution or takes a mean. The
intervals are made of order statistics, whose coverage is a binomial probability and therefore
known exactly. Where there are too few samples to reach the level, the interval is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

LEVEL: Final = 0.95
TIMES: Final = "\N{MULTIPLICATION SIGN}"
NOT_ENOUGH_DATA: Final = "not enough data"

Verdict = Literal["met", "missed", "undecided", "not enough data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval, in the unit of the samples."""

    low: float
    high: float
    coverage: float
    """The probability that it covers the true value: exact, and never below what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A quantile of a population, as one sample of it tells."""

    value: float
    """In the unit of the samples; NaN when there were none."""
    interval: Interval | None
    """None: not enough data."""
    n: int

    @property
    def ends(self) -> tuple[float, float]:
        """The interval's ends; the value itself where there is none."""
        if self.interval is None:
            return self.value, self.value
        return self.interval.low, self.interval.high

    def text(self, unit: str = "", *, digits: int = 3) -> str:
        """Write it for people: `1.23 ms (1.10 to 1.31, n = 30)`."""
        if self.n == 0:
            return NOT_ENOUGH_DATA
        space = "" if unit in {"", TIMES, "%"} else " "
        head = f"{significant(self.value, digits)}{space}{unit}".rstrip()
        if self.interval is None:
            return f"{head} ({NOT_ENOUGH_DATA} for an interval, n = {self.n})"
        low, high = (significant(x, digits) for x in (self.interval.low, self.interval.high))
        return f"{head} ({low} to {high}, n = {self.n})"


def quantile(samples: Sequence[float], p: float) -> float:
    """Return the quantile `p` (0 to 1) by linear interpolation; NaN of no samples.

    Definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American
    Statistician 50 (1996): the one that numpy and pandas use.

    Raises:
        ValueError: `p` lies outside 0 to 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {p}")
    if not samples:
        return math.nan
    ordered = sorted(samples)
    position = p * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def median(samples: Sequence[float]) -> float:
    """Return the middle value; NaN of no samples."""
    return quantile(samples, 0.5)


def quantile_interval(
    samples: Sequence[float], p: float, *, level: float = LEVEL
) -> Interval | None:
    """Return the exact interval for the population's quantile `p`, or None of too few samples.

    The number of samples below the quantile is binomial(n, p), so the pair of order statistics
    (l, u) covers it with probability P(l ≤ B ≤ u - 1), whatever the distribution; each tail gets
    at most (1 - level) / 2. Hahn and Meeker, "Statistical Intervals" (1991), section 5.2; for
    p = 0.5 it is the sign test turned round (Conover, "Practical Nonparametric Statistics",
    section 3.4) and needs 6 samples at 95 %.
    """
    if not 0 < p < 1:
        raise ValueError(f"an interval needs a quantile between 0 and 1, not {p}")
    n = len(samples)
    tail = (1 - level) / 2
    below = _binomial_cdf(n, p)
    # the largest rank with P(B ≤ rank - 1) ≤ tail, the smallest with P(B ≥ rank) ≤ tail
    lower = sum(1 for probability in below if probability <= tail)
    upper = next((u for u in range(1, n + 1) if 1 - below[u - 1] <= tail), None)
    if lower == 0 or upper is None:
        return None
    ordered = sorted(samples)
    return Interval(
        low=ordered[lower - 1],
        high=ordered[upper - 1],
        coverage=below[upper - 1] - below[lower - 1],
    )


def estimate(samples: Sequence[float], p: float = 0.5, *, level: float = LEVEL) -> Estimate:
    """Return a quantile (the median by default) with its interval."""
    return Estimate(
        value=quantile(samples, p),
        interval=quantile_interval(samples, p, level=level) if samples else None,
        n=len(samples),
    )


def paired_ratio(
    numerators: Sequence[float], denominators: Sequence[float], *, level: float = LEVEL
) -> Estimate:
    """Return the median of the ratios of pairs measured one beside the other.

    Pairing removes what both halves of a pair felt (a busy machine, a slow disk). The interval is
    the sign test's on the ratios (see `quantile_interval`), which assumes no symmetry.

    Raises:
        ValueError: There are not as many of the one as of the other, or a time is not above 0.
    """
    if len(numerators) != len(denominators):
        raise ValueError(f"pairs need equal lengths, not {len(numerators)} and {len(denominators)}")
    if any(x <= 0 for x in (*numerators, *denominators)):
        raise ValueError("a ratio of times needs times above 0")
    return estimate(
        [a / b for a, b in zip(numerators, denominators, strict=True)],
        level=level,
    )


def verdict(ratio: Estimate, at_most: float) -> Verdict:
    """Say whether a ratio keeps to its target; `undecided` when its interval holds the target."""
    if ratio.interval is None:
        return NOT_ENOUGH_DATA
    if ratio.interval.high <= at_most:
        return "met"
    if ratio.interval.low > at_most:
        return "missed"
    return "undecided"


def significant(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, and never in exponent form."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))  # 9.996 gains a digit
    return f"{rounded:,.{max(decimals, 0)}f}"


def _binomial_cdf(n: int, p: float) -> list[float]:
    """P(B ≤ k) for k = 0 … n, by logarithms so that thousands of samples do not underflow."""
    log_p, log_q = math.log(p), math.log1p(-p)
    total = 0.0
    cdf = []
    for k in range(n + 1):
        log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        total += math.exp(log_choose + k * log_p + (n - k) * log_q)
        cdf.append(min(total, 1.0))
    return cdf
