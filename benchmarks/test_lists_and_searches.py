"""Listing 1,000 rows, and searching 10 among few and among 100,000."""

import pytest

from harness.measure.benchmarking import Measure, Sizes
from harness.measure.rows import Resource
from harness.measure.workloads import listing, searches


def test_list(resource: Resource, subject: str, measure: Measure, sizes: Sizes) -> None:
    """As many rows as one call returns."""
    [workload] = listing(resource, sizes.listed)
    measure(workload, subject)


@pytest.mark.timeout(600)  # 100,000 rows are planted first
@pytest.mark.parametrize("search", ["few-newest", "few-tagged", "many-newest", "many-tagged"])
def test_search(
    resource: Resource, search: str, subject: str, measure: Measure, sizes: Sizes
) -> None:
    """The 10 newest rows, and the 10 that share a tag."""
    newest, tagged = searches(resource, sizes.few if search.startswith("few") else sizes.many)
    measure(newest if search.endswith("newest") else tagged, subject)
