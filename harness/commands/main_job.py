"""Does what was asked for, and prints what came of it."""

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.table import Table

from harness.commands.request import Work
from harness.commands.run import Done, run

if TYPE_CHECKING:
    from harness.analysis.summary import Summary

INTERRUPTED: Final = 130
_STYLES: Final = {"good": "green", "bad": "bold red", "plain": ""}


def do(work: Work) -> None:
    """Do a run and print its summary.

    Raises:
        HarnessError: It failed.
        typer.Exit: A promise is broken or a notebook failed (1), or it was interrupted (130).
    """
    console = Console(highlight=False)
    done = Done()
    try:
        asyncio.run(_until_told_to_stop(work, console, done))
    except KeyboardInterrupt:
        _print_interruption(done)
        raise typer.Exit(INTERRUPTED) from None
    from harness.analysis.summary import summarise  # noqa: PLC0415 -- takes a second

    summary = summarise(done.results)
    print_summary(summary, done, console)
    if summary.broken or done.failures:
        raise typer.Exit(1)


async def _until_told_to_stop(work: Work, console: Console, done: Done) -> None:
    """Run; SIGTERM ends it as cleanly as Ctrl-C does."""
    task = asyncio.current_task()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        await run(work, console, done)
    except asyncio.CancelledError:
        if terminated:
            raise KeyboardInterrupt from None
        raise


def print_summary(summary: "Summary", done: Done, console: Console) -> None:
    """Print the table that a run ends with, and where everything lies."""
    table = Table(title=summary.headline, title_justify="left", title_style="bold", box=None)
    table.add_column("what", style="dim", overflow="fold")
    table.add_column("found", overflow="fold")
    for line in summary.lines:
        table.add_row(line.what, line.found, style=_STYLES[line.mood])
    console.print()
    console.print(table)
    console.print()
    for failure in done.failures:
        console.print(f"Notebook failed: {failure}", markup=False, soft_wrap=True)
    if done.folder is not None:
        console.print(f"Results: {done.folder}", markup=False, soft_wrap=True)
    if done.report is not None:
        console.print(f"Report:  {done.report}", markup=False, soft_wrap=True)


def _print_interruption(done: Done) -> None:
    if done.results:
        typer.echo(f"Interrupted. What was measured lies in {done.folder}", err=True)
    else:
        typer.echo("Interrupted before anything was measured.", err=True)
