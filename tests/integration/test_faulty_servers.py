"""The tests of promises 50 to 65 can fail: each fault of `faulty/` is caught by one of its promise.

One pytest process of each pace runs the tests that are to catch the faults, without and with them.
"""

import pytest
import pytest_asyncio

from tests.integration.broken.meeting import met
from tests.integration.faulty import fault
from tests.integration.faulty.fault import SOUND, Pace, caught_by
from tests.integration.faulty.faults import FAULTS

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

FOLDER = "tests/integration/"
Failed = dict[str, bool]
"""By the ids of tests, which end with a fault's name, whether they failed."""


async def _failed(factory: pytest.TempPathFactory, pace: Pace) -> Failed:
    tests = dict.fromkeys(FOLDER + test.partition("[")[0] for test in caught_by(pace).values())
    plugin = ("-p", "tests.integration.faulty.plugin", f"--pace={pace}", "-p", "no:randomly")
    found = await met(factory, f"faulty_{pace}", *plugin, *tests)
    return {one["test"].removeprefix(FOLDER): one["failed"] for one in found}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def quick(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """What came of those that share a few servers."""
    return await _failed(tmp_path_factory, "quick")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def slow(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """What came of those that have servers of their own."""
    return await _failed(tmp_path_factory, "slow")


def _check(failed: Failed, test: str, name: str) -> None:
    assert failed[fault.met(test, name)], FAULTS[name].broken.__doc__
    assert not failed[fault.met(test, SOUND)]


@pytest.mark.parametrize(("name", "test"), caught_by("quick").items(), ids=caught_by("quick"))
async def test_a_fault_is_caught(quick: Failed, name: str, test: str) -> None:
    """A test of the promise that it breaks fails on it, and passes without."""
    _check(quick, test, name)


@pytest.mark.parametrize(("name", "test"), caught_by("slow").items(), ids=caught_by("slow"))
async def test_a_fault_of_servers_is_caught(slow: Failed, name: str, test: str) -> None:
    """Likewise, where servers of their own are needed to show it."""
    _check(slow, test, name)
