"""A pytest plugin that gives a broken backend no more tests once one of them has caught it.

Tests that have caught a fault, and only those, are then given the backend without one.
"""

from collections.abc import Generator
from typing import cast

import pytest

from tests.integration.broken.fault import SOUND, Fault

_caught = pytest.StashKey[set[Fault]]()
_catching = pytest.StashKey[set[str]]()
"""The ids of the tests that have caught one, with `SOUND`."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing caught."""
    config.stash[_caught] = set()
    config.stash[_catching] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Function) -> None:
    """Skip a test that would prove nothing more."""
    fault, stash = _fault(item), item.config.stash
    proves_more = item.nodeid in stash[_catching] if fault is SOUND else fault not in stash[_caught]
    if not proves_more:
        pytest.skip("it proves nothing more")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what was caught, and by which test."""
    report = yield
    if report.when == "call" and report.failed:
        fault, stash = _fault(item), item.config.stash
        stash[_caught].add(fault)
        stash[_catching].add(item.nodeid.replace(fault.name, SOUND.name))
    return report


def _fault(item: pytest.Function) -> Fault:
    return cast("Fault", item.callspec.params["fault"])
