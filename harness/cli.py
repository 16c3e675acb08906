"""The command line: parse, call, print."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.models import OptionInfo

from harness.commands import db
from harness.commands.request import KINDS, MEASURED, requested
from harness.config import misspelled
from harness.errors import ConfigError, HarnessError
from harness.measure.records import Kind

app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(db.app, name="db")


@app.callback()
def warn() -> None:
    """A persistence test bench for LangGraph agent servers."""
    for name, meant in misspelled().items():
        typer.echo(f"harness: {name} sets nothing; did you mean {meant}?", err=True)


def _only(parts: Sequence[Kind]) -> OptionInfo:
    text = f"{', '.join(parts)}; repeat it, or use commas."
    option: OptionInfo = typer.Option("--only", metavar="PART", help=text)
    return option


_Backend = Annotated[
    list[str] | None,
    typer.Option("--backend", metavar="NAME", help="memory or postgres; repeat it, or use commas."),
]
_Only = Annotated[list[str] | None, _only(KINDS)]
_Measured = Annotated[list[str] | None, _only(MEASURED)]
_Out = Annotated[str, typer.Option("--out", metavar="DIR", help="Folder for the results.")]
_Quick = Annotated[bool, typer.Option("--quick", help="Less of everything: two to four minutes.")]
_Full = Annotated[bool, typer.Option("--full", help="More samples of everything: many minutes.")]
_RESULTS = "results"


@app.command()
def run(
    quick: _Quick = False,
    full: _Full = False,
    backend: _Backend = None,
    only: _Only = None,
    out: _Out = _RESULTS,
) -> None:
    """Prove the promises, measure, and write one report of it all, or of some parts."""
    _do(quick=quick, full=full, backends=backend, only=only, out=out, among=KINDS, report=True)


@app.command()
def verify(
    subject: Annotated[
        str | None,
        typer.Argument(help="A known subject, or package.module:factory; all backends if none."),
    ] = None,
    quick: _Quick = False,
    backend: _Backend = None,
    ours: Annotated[
        bool, typer.Option("--ours", help="Count promises that are this project's alone, too.")
    ] = False,
    out: _Out = _RESULTS,
) -> None:
    """Ask the backends for their promises, or somebody's checkpointer or store; nothing else."""
    if subject is not None and (quick or backend):
        raise ConfigError("--quick and --backend are of the bundled backends, not of a subject")
    if subject is not None:
        from harness.commands.verdict import pass_verdict  # noqa: PLC0415 -- takes a second

        pass_verdict(subject, ours=ours, out=Path(out))
        return
    _do(quick=quick, full=False, backends=backend, out=out, among=("contract",), report=False)


@app.command()
def subjects() -> None:
    """List the checkpointers and stores that `verify` knows by name."""
    from harness.subjects.known import KNOWN  # noqa: PLC0415 -- takes a second

    for one in KNOWN.values():
        typer.echo(f"{one.name:14} {one.kind:13} {one.what} ({one.distribution})")


@app.command()
def bench(
    quick: _Quick = False,
    full: _Full = False,
    backend: _Backend = None,
    only: _Measured = None,
    out: _Out = _RESULTS,
) -> None:
    """Measure and keep the raw samples, and nothing else."""
    _do(quick=quick, full=full, backends=backend, only=only, out=out, among=MEASURED, report=False)


@app.command()
def serve(  # noqa: PLR0917 -- options, each by its name
    host: Annotated[str | None, typer.Option(help="Where to listen; 127.0.0.1 by default.")] = None,
    port: Annotated[
        int | None, typer.Option(help="On which port; 8123 by default, 0 for a free one.")
    ] = None,
    embedded: Annotated[
        bool,
        typer.Option("--embedded", help="Store in the server of `harness db`, started if need be."),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A langgraph.json; the bundled agents by default."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let others in without authentication.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when standard input does.")
    ] = False,
) -> None:
    """Serve agents over LangGraph's API, from DATABASE_URL or from memory, until Ctrl-C."""
    from harness.commands.serving import serve_until_told  # noqa: PLC0415 -- likewise

    serve_until_told(
        host=host,
        port=port,
        embedded=embedded,
        graphs=config,
        insecure=insecure,
        with_parent=with_parent,
    )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def notebook(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where to copy the notebooks, outside a checkout.")
    ] = Path("harness-notebooks"),
) -> None:
    """Open JupyterLab on the notebooks; further arguments are JupyterLab's."""
    from harness.commands.jupyter import open_lab  # noqa: PLC0415 -- likewise

    open_lab(folder, context.args)


def _do(
    *,
    quick: bool,
    full: bool,
    backends: list[str] | None,
    only: list[str] | None = None,
    out: str,
    among: Sequence[Kind],
    report: bool,
) -> None:
    work = requested(
        quick=quick, full=full, backends=backends, only=only, out=out, among=among, report=report
    )
    from harness.commands.main_job import do  # noqa: PLC0415 -- what needs no pandas starts at once

    do(work)


def main() -> NoReturn:
    """Run the command line; what harness raises on purpose becomes one line."""
    try:
        app()
    except HarnessError as exc:
        typer.echo(f"harness: {exc}", err=True)
        sys.exit(1)
    sys.exit(0)
