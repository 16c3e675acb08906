"""Passes a verdict on one subject, prints it and keeps it."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from harness.commands.display import Display
from harness.commands.folders import discard_if_empty, new_run_folder
from harness.errors import HarnessError
from harness.verdicts.asking import judge
from harness.verdicts.text import lines
from harness.verdicts.verdict import Verdict

BROKEN = 1
NOT_ASKED = 2


def pass_verdict(name: str, *, ours: bool, out: Path) -> None:
    """Judge a subject.

    Raises:
        HarnessError: There is no room for the verdict.
        typer.Exit: It breaks a promise (1), or it could not be asked (2); a line says why.
    """
    console = Console(highlight=False)
    folder = new_run_folder(out, "verdict")
    try:
        with Display(console) as display, display.step(name) as show:
            log = folder / "pytest.log"
            verdict = asyncio.run(judge(name, ours=ours, log=log, on_progress=show))
        _keep(verdict, folder)
    except HarnessError as exc:
        typer.echo(f"harness: {exc}", err=True)
        raise typer.Exit(NOT_ASKED) from exc
    finally:
        discard_if_empty(folder)
    console.print("\n".join(lines(verdict)), markup=False, soft_wrap=True)
    console.print(f"Verdict: {folder}", markup=False, soft_wrap=True)
    if not any(one.outcome != "skipped" for one in verdict.counted):
        raise typer.Exit(NOT_ASKED)
    if verdict.broken:
        raise typer.Exit(BROKEN)


def _keep(verdict: Verdict, folder: Path) -> None:
    (folder / "verdict.md").write_text("\n".join(lines(verdict)) + "\n")
    (folder / "verdict.json").write_text(json.dumps(asdict(verdict), default=str, indent=1))
