"""100 creates: one after another, with 20 workers, all at once, and in one call."""

import pytest

from harness.measure.benchmarking import Measure, Sizes
from harness.measure.rows import Resource
from harness.measure.workloads import creates


@pytest.mark.parametrize(
    "way", ["create_sequential", "create_20_workers", "create_at_once", "create_many"]
)
def test_create(way: str, resource: Resource, subject: str, measure: Measure, sizes: Sizes) -> None:
    """New rows."""
    ways = {workload.name: workload for workload in creates(resource, sizes.rows)}
    measure(ways[way], subject)


@pytest.mark.postgres
def test_copy(resource: Resource, measure: Measure, sizes: Sizes) -> None:
    """COPY of the same rows, the floor of `create_many`."""
    ways = {workload.name: workload for workload in creates(resource, sizes.rows)}
    measure(ways["create_many"], "copy")


def test_validate_and_copy(resource: Resource, measure: Measure, sizes: Sizes) -> None:
    """Validating and copying the same records, the floor of creates in memory."""
    ways = {workload.name: workload for workload in creates(resource, sizes.rows)}
    measure(ways["create_sequential"], "memory floor")
