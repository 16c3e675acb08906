"""The suite can fail: every promise has backends that break it, and all of them are caught."""

import asyncio
import json
import os
import sys
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from harness.config import without_pytest
from harness.contract.promises import CONTRACT_PROMISES, PROMISES
from harness.provision.locks import locked

ROOT = Path(__file__).parents[2]
Outcomes = dict[tuple[int, str], list[bool]]
"""For each promise and fault, whether the tests of that promise failed on it."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Run the contract over all broken backends, once, however many workers need it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers' common folder
    path = folder / "met.json"
    with await asyncio.to_thread(_hold, folder / "met.lock"):
        if not path.exists():
            await _meet(path)
    met: Outcomes = defaultdict(list)
    for one in json.loads(path.read_text()):
        met[one["promise"], one["fault"]].append(one["failed"])
    return met


def _hold(path: Path) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(locked(path, wait_s=280))
    return stack


async def _meet(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "tests/integration/broken/suite.py"),
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


async def test_the_sound_backend_is_not_blamed(outcomes: Outcomes) -> None:
    """The same tests, given the backend without a fault, all pass."""
    sound = outcomes[0, "Sound"]
    assert len(sound) > 500
    assert not any(sound)


@pytest.mark.parametrize("number", CONTRACT_PROMISES)
async def test_broken_promises_are_named(outcomes: Outcomes, number: int) -> None:
    """Every backend that breaks a promise fails a test of that promise."""
    met = {fault: failed for (promise, fault), failed in outcomes.items() if promise == number}
    assert met, f"no backend breaks promise {number}: {PROMISES[number].text}"
    missed = [fault for fault, failed in met.items() if not any(failed)]
    assert not missed
