"""Get, update, count and delete, row by row."""

import pytest

from harness.measure.benchmarking import Measure, Sizes
from harness.measure.rows import Resource
from harness.measure.workloads import single_rows


@pytest.mark.parametrize("call", ["get", "update", "delete", "count"])
def test_single_rows(
    call: str, resource: Resource, subject: str, measure: Measure, sizes: Sizes
) -> None:
    """Rows that are there."""
    calls = {workload.name: workload for workload in single_rows(resource, sizes.rows)}
    measure(calls[call], subject)
