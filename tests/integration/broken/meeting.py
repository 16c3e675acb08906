"""Runs what is deliberately broken through tests, in a pytest process of its own."""

import asyncio
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.config import without_pytest
from harness.provision.locks import locked

ROOT = Path(__file__).parents[3]


async def met(factory: pytest.TempPathFactory, name: str, *arguments: str) -> list[dict[str, Any]]:
    """Run pytest once, however many workers need it, and return what `report` has kept.

    Args:
        factory: Where the report is.
        name: What it is called.
        arguments: Of pytest; some test must fail.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers' common folder
    path = folder / f"{name}.json"
    with await asyncio.to_thread(_hold, folder / f"{name}.lock"):
        if not path.exists():
            await _meet(path, *arguments)
    kept: list[dict[str, Any]] = json.loads(path.read_text())
    return kept


def _hold(path: Path) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(locked(path, wait_s=280))
    return stack


async def _meet(path: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *arguments),
        *("-p", "tests.integration.broken.report", f"--met={path}"),
        *("-p", "no:schemathesis"),  # which takes seconds to import
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
