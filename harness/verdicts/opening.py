"""A pytest plugin that opens the subject of a run: `--subject NAME`, fixture `subject`.

It is opened once, and anew after each test that failed: what a failed test leaves behind must not
fail the next one.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
import pytest_asyncio

from harness.measure.outcomes import FOLDERS
from harness.subjects.find import find
from harness.subjects.subject import Facts, Subject, facts_of

_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the subject."""
    parser.addoption("--subject", default=None, help=argparse.SUPPRESS)


class Opening:
    """Holds a subject open, in a task of its own: it is left by the task that entered it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._opened: Any = None
        self.facts: Facts | None = None
        """What is known of the open subject."""

    async def get(self) -> Any:
        """Return the open subject."""
        if self._task is None:
            opened = asyncio.get_running_loop().create_future()
            self._leave.clear()
            self._task = asyncio.create_task(self._hold(opened))
            await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
            if not opened.done():
                task, self._task = self._task, None
                await task
            self._opened = opened.result()
            self.facts = facts_of(self._opened)
        return self._opened

    async def close(self) -> None:
        """Leave it, whatever it says."""
        task, self._task = self._task, None
        if task is not None:
            self._leave.set()
            await asyncio.gather(task, return_exceptions=True)

    async def _hold(self, opened: asyncio.Future[Any]) -> None:
        async with self._subject.open() as subject:
            opened.set_result(subject)
            await self._leave.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def opening(pytestconfig: pytest.Config) -> AsyncIterator[Opening]:
    """What holds the run's subject open."""
    held = Opening(find(pytestconfig.getoption("--subject")))
    yield held
    await held.close()


@pytest_asyncio.fixture(loop_scope="session")
async def subject(opening: Opening, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """The open subject."""
    opened = await opening.get()
    request.config.stash[FOLDERS] = opening.facts.folders if opening.facts else ()
    yield opened
    if request.node.stash.get(_FAILED, False):
        await opening.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report
