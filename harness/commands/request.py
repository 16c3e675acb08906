"""What a command was asked for, checked; imports little, so that a mistake is told at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import typer

from harness.measure.plans import PlanName

BACKENDS: Final = ("memory", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to do."""

    plan: PlanName
    backends: tuple[str, ...]
    out: Path
    contract: bool = True
    measure: bool = True
    report: bool = True


def requested(
    *, quick: bool, full: bool, backends: Sequence[str] | None, out: str, parts: Collection[str]
) -> Work:
    """Return the work that the options ask for.

    Raises:
        typer.Exit: The options make no sense (2); a line says why.
    """
    if quick and full:
        _usage("--quick and --full exclude each other")
    if not out:
        _usage("--out names no folder")
    return Work(
        plan=_plan(quick=quick, full=full),
        backends=_chosen(backends),
        out=Path(out),
        contract="contract" in parts,
        measure="measure" in parts,
        report="report" in parts,
    )


def _plan(*, quick: bool, full: bool) -> PlanName:
    if quick:
        return "quick"
    return "full" if full else "default"


def _chosen(backends: Sequence[str] | None) -> tuple[str, ...]:
    """The backends that were named, each once, or all."""
    if backends is None:
        return BACKENDS
    names = [name.strip() for option in backends for name in option.split(",") if name.strip()]
    for name in names:
        if name not in BACKENDS:
            _usage(f"unknown backend {name!r}; use {' or '.join(BACKENDS)}")
    if not names:
        _usage(f"--backend names nothing; use {' or '.join(BACKENDS)}")
    return tuple(dict.fromkeys(names))


def _usage(message: str) -> NoReturn:
    typer.echo(f"harness: {message}", err=True)
    raise typer.Exit(2)
