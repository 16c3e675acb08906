"""`harness db prune`: shortens the histories of a database, and says what that freed."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from harness.commands.display import Display
from harness.config import DatabaseConfig
from harness.database import Database
from harness.measure.paired import OnProgress
from harness.models import Freed, Pruned
from harness.storage.postgres.retention import PostgresRetention
from harness.storage.requests import Keeping
from harness.storage.resources.arguments import make_keeping

_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.IGNORECASE)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_TABLES: Final[tuple[tuple[str, Callable[[Pruned], Freed]], ...]] = (
    ("checkpoints", lambda pruned: pruned.checkpoints),
    ("checkpoint_blobs", lambda pruned: pruned.blobs),
    ("checkpoint_writes", lambda pruned: pruned.writes),
    ("thread_states", lambda pruned: pruned.states),
)


def keeping(keep: int | None, older_than: str | None, *, dry_run: bool) -> Keeping:
    """Return what stays, as the options say.

    Raises:
        typer.Exit: They make no sense (2); a line says why.
        InvalidInput: `--keep` is less than 1.
    """
    if keep is None and older_than is None:
        typer.echo("harness: say what stays: --keep N, or --older-than 30d, or both", err=True)
        raise typer.Exit(2)
    age_s = None
    if older_than is not None:
        found = _AGE.fullmatch(older_than.strip())
        if found is None:
            typer.echo(
                f"harness: --older-than is like 36h, 30d or 8w, not {older_than!r}", err=True
            )
            raise typer.Exit(2)
        age_s = float(found[1]) * _UNITS_S[found[2].lower()]
    return make_keeping(keep, age_s, dry_run=dry_run)


def prune(address: str, wanted: Keeping, thread_ids: Sequence[str] | None) -> None:
    """Shorten the histories of a database's threads, or say what that would free.

    Raises:
        HarnessError: The database cannot be reached, or a thread's checkpoints kept changing.
    """
    console = Console(highlight=False)
    config = replace(DatabaseConfig.from_env(), url=address)
    with Display(console) as display, display.step("prune") as on_progress:
        pruned = asyncio.run(_prune(config, wanted, thread_ids, on_progress))
    if pruned is None:
        typer.echo("There are no threads here: neither LangGraph's tables nor ours.")
        return
    console.print(_table(pruned, dry_run=wanted.dry_run))
    if pruned.rows and not wanted.dry_run:
        typer.echo("New rows of the same tables use the room again; VACUUM FULL gives it back.")


async def _prune(
    config: DatabaseConfig,
    wanted: Keeping,
    thread_ids: Sequence[str] | None,
    on_progress: OnProgress,
) -> Pruned | None:
    """Prune thread by thread; None where there is no table to prune."""
    async with Database(config, name="prune") as database:
        retention = PostgresRetention(database)
        if not await retention.tables():
            return None
        return await retention.prune_all(thread_ids, wanted, None, on_thread=on_progress)


def _table(pruned: Pruned, *, dry_run: bool) -> Table:
    verb = "would lose" if dry_run else "lost"
    threads = f"{pruned.threads:,} thread{'' if pruned.threads == 1 else 's'}"
    shown = Table(title=f"{threads} {verb} {pruned.rows:,} rows", title_justify="left")
    shown.add_column("table")
    shown.add_column("rows", justify="right")
    shown.add_column("bytes", justify="right")
    for name, freed_of in _TABLES:
        freed = freed_of(pruned)
        shown.add_row(name, f"{freed.rows:,}", f"{freed.size_bytes:,}")
    shown.add_row("all", f"{pruned.rows:,}", f"{pruned.freed_bytes:,}", style="bold")
    return shown
