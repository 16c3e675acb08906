"""The checkpointer contract can fail: every saver with a fault is caught, each test catches one."""

from collections.abc import Callable

import pytest
import pytest_asyncio

from tests.integration.broken.meeting import met
from tests.integration.savers.broken.sound import Sound
from tests.integration.savers.broken.suite import FAULTS
from tests.integration.savers.official import OFFICIAL

pytestmark = pytest.mark.slow

Failed = dict[tuple[str, str], bool]
"""For each fault and test, by names, whether the test failed."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def failed(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """Run the contract over all broken savers, once, however many workers need it."""
    found: Failed = {}
    for one in await met(tmp_path_factory, "savers", "tests/integration/savers/broken/suite.py"):
        key = one["fault"], one["test"].partition("::")[2].partition("[")[0]
        found[key] = found.get(key, False) or one["failed"]
    return found


async def test_the_sound_saver_is_not_blamed(failed: Failed) -> None:
    """The same tests, given the saver without a fault, all pass."""
    sound = [failed[key] for key in failed if key[0] == Sound.__name__]
    assert len(sound) > 50
    assert not any(sound)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_broken_savers_are_caught(failed: Failed, fault: type[Sound]) -> None:
    """Every broken saver fails a test of the class that it breaks."""
    assert any(failed[key] for key in failed if key[0] == fault.__name__)


async def test_every_test_catches_a_fault(failed: Failed) -> None:
    """There is no test of the contract that every broken saver passes."""
    tests = {test for _, test in failed}
    assert {test for (_, test), has_failed in failed.items() if has_failed} == tests


async def test_the_official_suite_is_weaker(record_property: Callable[[str, object], None]) -> None:
    """The official functions catch some of the faults, fewer than a third; they blame no other."""
    assert not await _is_caught(Sound)
    caught = [fault.__name__ for fault in FAULTS if await _is_caught(fault)]
    record_property("caught by the official suite", caught)
    assert 0 < len(caught) < len(FAULTS) / 3


async def _is_caught(fault: type[Sound]) -> bool:
    """Tell whether an official function fails on a saver."""
    for parameters in OFFICIAL:
        capability, function = parameters.values
        if capability != "delete_for_runs":  # no saver here has it
            try:
                await function(fault())  # type: ignore[operator]  # a parameter is an object
            except Exception:  # noqa: BLE001 -- a fault shows as any error
                return True
    return False
