"""`harness db`: a Postgres that outlives the command, to explore in and to serve from."""

import asyncio
from typing import Annotated

import psycopg
import rich.table
import typer
from rich.console import Console

from harness.commands.prune import keeping
from harness.commands.prune import prune as shorten
from harness.config import ProvisionConfig, redact
from harness.errors import ConfigError, DatabaseUnavailable
from harness.provision import named
from harness.schema.inspect import Table, inspect_database

app = typer.Typer(help=__doc__, no_args_is_help=True)

_NAME = typer.Option("--name", help="Which server, if there are several.")
_Name = Annotated[str, _NAME]
_Instead = Annotated[str | None, _NAME]
"""The name of a server to use where `DATABASE_URL` is not set."""


@app.command()
def start(name: _Name = named.DEFAULT_NAME) -> None:
    """Start the server, on disk and with fsync; its data stay when it stops."""
    started = named.start(name, ProvisionConfig.from_env().home)
    if started.already_running:
        typer.echo(f"The server {name!r} already runs.")
    else:
        typer.echo(f"Started the server {name!r}.")
    option = "" if name == named.DEFAULT_NAME else f" --name {name}"
    typer.echo(f"Its address: export DATABASE_URL=$(harness db url{option})")


@app.command()
def stop(name: _Name = named.DEFAULT_NAME) -> None:
    """Stop the server and keep its data."""
    stopped = named.stop(name, ProvisionConfig.from_env().home)
    typer.echo(f"Stopped the server {name!r}." if stopped else f"The server {name!r} did not run.")


@app.command()
def url(name: _Name = named.DEFAULT_NAME) -> None:
    """Print the address of the running server, for DATABASE_URL."""
    typer.echo(named.url(name, ProvisionConfig.from_env().home))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, name: _Name = named.DEFAULT_NAME) -> None:
    """Open psql on the running server; further arguments are psql's."""
    named.psql(name, ProvisionConfig.from_env().home, context.args)


@app.command()
def inspect(
    name: _Instead = None,
    newest: Annotated[int, typer.Option(min=1, help="Records to show of each kind.")] = 20,
) -> None:
    """Show what lies in DATABASE_URL, or in the running server if that is not set."""
    address = _address(name)
    console = Console()
    for table in asyncio.run(_inspect(address, newest)):
        console.print(_rich(table))


@app.command()
def prune(
    name: _Instead = None,
    keep: Annotated[
        int | None, typer.Option(help="Keep so many of the newest checkpoints of each thread.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Delete only what is older: 36h, 30d, 8w.")
    ] = None,
    thread: Annotated[
        list[str] | None, typer.Option("--thread", metavar="ID", help="This thread; repeat it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Shorten the histories of threads in DATABASE_URL, or in the running server if not set.

    The newest checkpoint of a thread stays always, and what a checkpoint that stays needs.
    """
    wanted = keeping(keep, older_than, dry_run=dry_run)
    shorten(_address(name), wanted, thread)


@app.command()
def check(
    name: _Instead = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what is safe, and say what was done.")
    ] = False,
) -> None:
    """Check DATABASE_URL, or the running server if not set, for rows that contradict one another.

    Exit 1 if there are any, or if any are left after --repair. A server may run meanwhile.
    """
    from harness.commands.check import check as check_rows  # noqa: PLC0415 -- takes a second

    check_rows(_address(name), repair=repair)


def _address(name: str | None) -> str:
    """Return the URL of the database to look at."""
    config = ProvisionConfig.from_env()
    if config.url is None:
        return named.url(name or named.DEFAULT_NAME, config.home)
    if name is not None:
        raise ConfigError(f"--name {name} and DATABASE_URL name two databases: unset one of them")
    return config.url


async def _inspect(address: str, newest: int) -> list[Table]:
    try:
        async with await psycopg.AsyncConnection.connect(
            address, autocommit=True, prepare_threshold=None, connect_timeout=5
        ) as connection:
            return await inspect_database(connection, newest=newest)
    except psycopg.Error as exc:
        reason = " ".join(str(exc).split())
        raise DatabaseUnavailable(f"cannot read {redact(address)}: {reason}") from exc


def _rich(table: Table) -> rich.table.Table:
    shown = rich.table.Table(title=table.title, title_justify="left")
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*("" if value is None else str(value) for value in row))
    if not table.rows:
        shown.caption = "no rows"
    return shown
