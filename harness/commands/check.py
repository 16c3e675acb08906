"""`harness db check`: finds rows that contradict one another, and repairs them if asked to."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import typer
from rich.console import Console
from rich.table import Table

from harness.commands.display import Display
from harness.config import DatabaseConfig
from harness.database import Database
from harness.measure.paired import OnProgress
from harness.persistence.check import Finding, Repaired, check_database, repair_database


def check(address: str, *, repair: bool) -> None:
    """Show the faults of a database, or what a repair did about them.

    Raises:
        typer.Exit: There is a fault, or one is left (1).
        HarnessError: The database cannot be reached, or no server has migrated it.
    """
    console = Console(highlight=False)
    config = replace(DatabaseConfig.from_env(), url=address)
    with Display(console) as display, display.step("check") as on_progress:
        found = asyncio.run(_check(config, on_progress, repair=repair))
    left = [one.left for one in found if one.left is not None]
    if found:
        console.print(_table(found, repair=repair))
    else:
        typer.echo("Nothing is wrong here.")
    if left and not repair:
        typer.echo("`harness db check --repair` repairs what is safe.")
    if left:
        raise typer.Exit(1)


async def _check(
    config: DatabaseConfig, on_progress: OnProgress, *, repair: bool
) -> list[Repaired]:
    async with Database(config, name="check") as database:
        if repair:
            return await repair_database(database, on_fault=on_progress)
        findings = await check_database(database, on_fault=on_progress)
        return [Repaired(found=finding, left=finding) for finding in findings]


def _table(found: Sequence[Repaired], *, repair: bool) -> Table:
    shown = Table(title="Repaired" if repair else "Found", title_justify="left", show_lines=True)
    shown.add_column("fault", overflow="fold")
    shown.add_column("rows", justify="right")
    shown.add_column("for example", overflow="fold")
    shown.add_column("repair", overflow="fold")
    for one in found:
        fault = one.found.fault
        shown.add_row(
            fault.meaning,
            f"{one.found.rows:,}",
            _examples(one.found),
            _outcome(one) if repair else _advice(one.found),
        )
    return shown


def _examples(finding: Finding) -> str:
    more = finding.subjects - len(finding.examples)
    return "\n".join([*finding.examples, *([f"and {more:,} more"] if more else [])])


def _advice(finding: Finding) -> str:
    return finding.fault.repair if finding.fault.mend else f"by hand: {finding.fault.repair}"


def _outcome(one: Repaired) -> str:
    if one.left is None:
        return f"done: {one.found.fault.repair}"
    if one.found.fault.mend is None:
        return f"left: {one.found.fault.repair}"
    return f"{one.left.rows:,} rows are left: their threads are in use; try again"
