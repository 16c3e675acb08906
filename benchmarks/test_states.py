"""100 snapshots of a thread, and reads of its state and history."""

import pytest

from harness.measure.benchmarking import Measure, Sizes
from harness.measure.workloads import states


@pytest.mark.parametrize("call", ["add_state", "get_state", "get_history"])
def test_states(call: str, subject: str, measure: Measure, sizes: Sizes) -> None:
    """States of one thread."""
    calls = {workload.name: workload for workload in states(sizes.rows)}
    measure(calls[call], subject)
