"""The suite can fail: every promise has backends that break it, and all of them are caught."""

from collections import defaultdict

import pytest
import pytest_asyncio

from harness.contract.promises import CONTRACT_PROMISES, PROMISES
from tests.integration.broken.meeting import met

pytestmark = pytest.mark.slow

Outcomes = dict[tuple[int, str], list[bool]]
"""For each promise and fault, whether tests of that promise failed on it."""

UNTIL_CAUGHT = ("-p", "tests.integration.broken.until_caught", "-p", "no:randomly")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Run the contract over all broken backends, once, however many workers need it."""
    suite = "tests/integration/broken/suite.py"
    found: Outcomes = defaultdict(list)
    for one in await met(tmp_path_factory, "broken", *UNTIL_CAUGHT, suite):
        found[one["promise"], one["fault"]].append(one["failed"])
    return found


async def test_the_sound_backend_is_not_blamed(outcomes: Outcomes) -> None:
    """The tests that caught a fault, given the backend without one, all pass."""
    caught = [fault for fault, failed in outcomes.items() if any(failed)]
    sound = outcomes[0, "Sound"]
    assert len(sound) > len(caught) / 2  # a test may catch several faults
    assert not any(sound)


@pytest.mark.parametrize("number", CONTRACT_PROMISES)
async def test_broken_promises_are_named(outcomes: Outcomes, number: int) -> None:
    """Every backend that breaks a promise fails a test of that promise."""
    caught = {fault: failed for (promise, fault), failed in outcomes.items() if promise == number}
    assert caught, f"no backend breaks promise {number}: {PROMISES[number].text}"
    missed = [fault for fault, failed in caught.items() if not any(failed)]
    assert not missed
