"""Where the ratios should land, and where they did.

Targets are statements about this project's backends, printed and drawn, never asserted in a test: a
machine can be too small or too busy for them. The numbers are the project's own aims.
"""

from dataclasses import dataclass
from typing import Final

from harness.analysis.frames import ratio_of
from harness.analysis.statistics import Estimate, Verdict, verdict
from harness.analysis.workloads import RESOURCES, rows_of
from harness.measure.records import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A ratio to look at."""

    what: str
    """In words, without the resource."""
    above: tuple[str, str]
    """Workload and subject of the numerator."""
    below: tuple[str, str]
    """Workload and subject of what it is compared with."""
    at_most: float | None = None
    """None: told, not aimed at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a target came to for one resource."""

    what: str
    resource: str
    ratio: Estimate
    at_most: float | None
    verdict: Verdict | None
    """None where there is nothing to aim at."""


TARGETS: Final = (
    Target(
        what="creates one after another / bare psycopg",
        above=("create_sequential", "postgres"),
        below=("create_sequential", "floor"),
        at_most=1.3,
    ),
    Target(
        what="creates one after another / pgbench",
        above=("create_sequential", "postgres"),
        below=("create_sequential", "pgbench"),
    ),
    Target(
        what="creates all at once / bare gather",
        above=("create_at_once", "postgres"),
        below=("create_at_once", "floor"),
        at_most=1.2,
    ),
    Target(
        what="create_many / COPY",
        above=("create_many", "postgres"),
        below=("create_many", "copy"),
        at_most=1.4,
    ),
    Target(
        what="creates in memory / validate and copy",
        above=("create_sequential", "memory"),
        below=("create_sequential", "memory floor"),
        at_most=2.0,
    ),
)


_SCALED: Final = {
    "search_10_of_": "search",
    "newest_10_of_": "newest 10",
}
_SCALED_AT_MOST: Final = 1.3


def targets(results: Results) -> list[Target]:
    """Return the targets, and those of the searches from the fewest rows to the most."""
    found = list(TARGETS)
    for prefix, what in _SCALED.items():
        scales = sorted(
            {t.workload for t in results.timings if t.workload.startswith(prefix)}, key=rows_of
        )
        if len(scales) > 1:
            few, many = scales[0], scales[-1]
            found.append(
                Target(
                    what=f"{what} of {rows_of(many):,} / of {rows_of(few):,}",
                    above=(many, "postgres"),
                    below=(few, "postgres"),
                    at_most=_SCALED_AT_MOST,
                )
            )
    return found


def comparisons(results: Results) -> list[Comparison]:
    """Return every target for every resource that was measured for it."""
    found = []
    for target in targets(results):
        for resource in RESOURCES:
            ratio = ratio_of(
                results,
                (target.above[0], resource, target.above[1]),
                (target.below[0], resource, target.below[1]),
            )
            if ratio is not None and ratio.n:
                found.append(
                    Comparison(
                        what=target.what,
                        resource=resource,
                        ratio=ratio,
                        at_most=target.at_most,
                        verdict=verdict(ratio, target.at_most) if target.at_most else None,
                    )
                )
    return found
