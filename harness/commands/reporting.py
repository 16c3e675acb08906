"""Executes the notebooks on what a run has found, and writes the report."""

import asyncio
from pathlib import Path
from typing import Final

import nbformat

from harness.analysis.execute import NotebookFailed, execute
from harness.analysis.report import Chapter, render
from harness.analysis.summary import summarise
from harness.commands.display import Display
from harness.commands.folders import NOTEBOOKS, Notebook, notebooks_folder, publish, writing
from harness.commands.request import Work
from harness.commands.run import Done
from harness.errors import HarnessError

_KERNELS: Final = 2
"""Notebooks that are executed at the same time."""


async def report(work: Work, done: Done, display: Display) -> Path | None:
    """Write the report and return its path; None where there is nothing to report.

    Raises:
        ResultsError: It cannot be written, or the notebooks are missing.
    """
    if done.folder is None or not done.results:
        return None
    chapters = await _chapters(work, done, done.folder, display)
    environment = next(
        (r.environment for r in reversed(done.results) if r.environment.postgres is not None),
        done.results[0].environment,
    )
    made = f"{done.results[-1].made_at:%d %B %Y, %H:%M} UTC, {work.plan} plan"
    text = render(chapters, summary=summarise(done.results), environment=environment, made=made)
    return publish(done.folder, text)


async def _chapters(work: Work, done: Done, folder: Path, display: Display) -> list[Chapter]:
    """Execute copies of the notebooks on the run's results."""
    source = notebooks_folder()
    with writing(folder):
        (folder / "notebooks").mkdir()
    free = asyncio.Semaphore(_KERNELS)
    finished = 0
    there = {*(results.kind for results in done.results), *work.backends}
    wanted = [notebook for notebook in NOTEBOOKS if notebook.needs in there]

    with display.step("notebooks") as on_progress:
        on_progress(0, len(wanted), "starting kernels")

        async def chapter(notebook: Notebook) -> Chapter:
            nonlocal finished
            failure = ""
            async with free:
                try:
                    document = await execute(
                        source / notebook.file,
                        environment={"HARNESS_RESULTS": str(folder)},
                        folder=folder / "notebooks",
                    )
                except NotebookFailed as exc:
                    failure, document = str(exc), exc.document
                    done.failures.append(failure)
            with writing(folder):
                nbformat.write(document, folder / "notebooks" / notebook.file)  # type: ignore[no-untyped-call]
            finished += 1
            on_progress(finished, len(wanted), notebook.file)
            return Chapter(notebook.name, document, failure)

        try:
            async with asyncio.TaskGroup() as group:
                # The last first: it does not load what was found, but acts, and takes longest.
                tasks = {one: group.create_task(chapter(one)) for one in reversed(wanted)}
        except* HarnessError as group_of_errors:
            raise group_of_errors.exceptions[0] from None
    return [tasks[one].result() for one in wanted]
