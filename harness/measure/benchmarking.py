"""What the files under `benchmarks/` share: how much a run does, and what measures it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.measure.workloads import Workload

Measure = Callable[[Workload, str], None]
"""Times a subject, given by name, doing a workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many rows, and how often."""

    rows: int
    """Rows that are created, read, changed and deleted."""
    listed: int
    few: int
    many: int
    """Among how many rows to search."""
    rounds: int
    slow_rounds: int
    """Rounds where more than `rows` rows lie there."""


TIMED: Final = Sizes(rows=100, listed=1_000, few=100, many=100_000, rounds=20, slow_rounds=5)
UNTIMED: Final = Sizes(rows=5, listed=20, few=20, many=40, rounds=1, slow_rounds=1)
"""Enough to see that each benchmark works."""
