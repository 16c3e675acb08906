"""Times subjects side by side, and keeps what was taken as records."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.measure.paired import Samples, Subject, alternate
from harness.measure.records import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A subject, and what its samples are kept as (see `Timing`)."""

    subject: Subject
    workload: str
    resource: str
    operations: int
    note: str = ""


async def time_side_by_side(
    everybody: Sequence[Timed],
    into: list[Timing],
    *,
    rounds: int,
    seed: int = 0,
    budget_s: float = math.inf,
    on_sample: Callable[[], None] = lambda: None,
) -> None:
    """Sample everybody as `alternate` does, and keep the whole rounds of it, whatever happens."""
    samples = [Samples() for _ in everybody]
    try:
        await alternate(
            [one.subject for one in everybody],
            samples,
            rounds=rounds,
            seed=seed,
            budget_s=budget_s,
            on_sample=on_sample,
        )
    finally:
        into += [
            Timing(
                workload=one.workload,
                resource=one.resource,
                subject=one.subject.name,
                operations=one.operations,
                samples_s=taken.seconds,
                order=taken.order,
                note=one.note,
            )
            for one, taken in zip(everybody, samples, strict=True)
            if taken.seconds
        ]
