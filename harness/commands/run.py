"""The main job: ask for the promises, measure, and report."""

import asyncio
import importlib
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from harness.commands.display import Display
from harness.commands.folders import discard_if_empty, new_run_folder, point_latest_at
from harness.commands.measuring import Measurements
from harness.commands.request import Work
from harness.config import DatabaseConfig
from harness.measure.records import Kind, Results


def _import(work: Work) -> None:
    if _measured(work):
        importlib.import_module("harness.measure.measurements")
    if work.report:
        importlib.import_module("harness.commands.reporting")


def _measured(work: Work) -> list[Kind]:
    """Return what is to be measured."""
    return [kind for kind in work.kinds if kind != "contract"]


@dataclass(slots=True)
class Done:
    """What a run has come to so far; complete once it returns."""

    folder: Path | None = None
    results: list[Results] = field(default_factory=list)
    report: Path | None = None
    failures: list[str] = field(default_factory=list)
    """Notebooks that did not run to their end."""


async def run(work: Work, console: Console, done: Done) -> None:
    """Do the work; what there is so far stands in `done`, also when this is cancelled.

    Raises:
        HarnessError: The server, the suite, a measurement or the disk failed.
    """
    DatabaseConfig.from_env()  # what makes no sense is told before anything is made
    asks = "contract" in work.kinds
    name = work.plan if work.report else ("verify" if asks else "bench")
    done.folder = new_run_folder(work.out, name)
    measurements = Measurements(work.plan, work.backends, done.folder, done.results)
    with Display(console) as display:
        try:
            async with measurements:
                # What measures and reports takes seconds to import, and costs nothing beside the
                # contract suite, which runs in a process of its own.
                importing = asyncio.create_task(asyncio.to_thread(_import, work))
                if asks:
                    await measurements.contract(display)
                await importing
                for kind in _measured(work):
                    await measurements.measure(kind, display)
        finally:
            if done.results:
                point_latest_at(done.folder)
            else:
                discard_if_empty(done.folder)
        if work.report:
            from harness.commands.reporting import report  # noqa: PLC0415 -- takes a second

            done.report = await report(work, done, display)
