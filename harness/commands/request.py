"""What a command was asked for, checked; imports little, so that a mistake is told at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, TypeVar, get_args

import typer

from harness.measure.plans import PlanName
from harness.measure.records import Kind

BACKENDS: Final = ("memory", "postgres")
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""What can be found out: the contract's outcomes, and each of the measurements."""
MEASURED: Final = tuple(kind for kind in KINDS if kind != "contract")

NameT = TypeVar("NameT", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to do."""

    plan: PlanName
    backends: tuple[str, ...]
    kinds: Collection[Kind]
    out: Path
    report: bool = True


def requested(
    *,
    quick: bool,
    full: bool,
    backends: Sequence[str] | None,
    out: str,
    among: Sequence[Kind],
    only: Sequence[str] | None = None,
    report: bool,
) -> Work:
    """Return the work that the options ask for.

    Args:
        quick: Measure less.
        full: Measure more.
        backends: Whom to ask; None: all.
        out: Folder for the results.
        among: What the command can find out.
        only: What of that; None: all of it.
        report: Whether notebooks are executed, and a report is written.

    Raises:
        typer.Exit: The options make no sense (2); a line says why.
    """
    if quick and full:
        _usage("--quick and --full exclude each other")
    if not out:
        _usage("--out names no folder")
    return Work(
        plan=_plan(quick=quick, full=full),
        backends=_chosen(backends, BACKENDS, option="backend"),
        kinds=_chosen(only, among, option="only"),
        out=Path(out),
        report=report,
    )


def _plan(*, quick: bool, full: bool) -> PlanName:
    if quick:
        return "quick"
    return "full" if full else "default"


def _chosen(
    given: Sequence[str] | None, known: Sequence[NameT], *, option: str
) -> tuple[NameT, ...]:
    """The names that were given, each once, in the order in which they are known; or all."""
    if given is None:
        return tuple(known)
    names = [name.strip() for each in given for name in each.split(",") if name.strip()]
    choice = f"{', '.join(known[:-1])} or {known[-1]}"
    for name in names:
        if name not in known:
            _usage(f"--{option} does not know {name!r}; use {choice}")
    if not names:
        _usage(f"--{option} names nothing; use {choice}")
    return tuple(name for name in known if name in names)


def _usage(message: str) -> NoReturn:
    typer.echo(f"harness: {message}", err=True)
    raise typer.Exit(2)
