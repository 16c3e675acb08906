"""The checkpointer contract can fail: every saver with a fault is caught, each test catches one."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from harness.config import without_pytest
from harness.provision.locks import locked
from tests.integration.savers.broken.sound import Sound
from tests.integration.savers.broken.suite import FAULTS
from tests.integration.savers.official import OFFICIAL

ROOT = Path(__file__).parents[2]
Failed = dict[tuple[str, str], bool]
"""For each fault and test, by names, whether the test failed."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def failed(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """Run the contract over all broken savers, once, however many workers need it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers' common folder
    path = folder / "savers.json"
    with await asyncio.to_thread(_hold, folder / "savers.lock"):
        if not path.exists():
            await _meet(path)
    met: Failed = {}
    for one in json.loads(path.read_text()):
        key = one["fault"], one["test"].partition("::")[2].partition("[")[0]
        met[key] = met.get(key, False) or one["failed"]
    return met


def _hold(path: Path) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(locked(path, wait_s=280))
    return stack


async def _meet(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "tests/integration/savers/broken/suite.py"),
        *("-p", "tests.integration.broken.report", f"--met={path}"),
        *("-p", "no:cacheprovider", "-q", "--no-header", "--tb=no", "--assert=plain", "-r", "N"),
        cwd=ROOT,
        env=without_pytest(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output.decode()


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
