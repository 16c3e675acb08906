"""Asks a subject for its promises, and passes a verdict."""

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from harness.errors import ConfigError
from harness.measure.contract_run import run_contract
from harness.measure.paired import OnProgress
from harness.subjects.find import find
from harness.subjects.subject import BASES, Facts, facts_of
from harness.verdicts.verdict import Verdict

TEST_TIMEOUT_S: Final = 60
"""After which a test counts as failed: the subject does not answer."""


async def judge(name: str, *, ours: bool, log: Path, on_progress: OnProgress) -> Verdict:
    """Ask a subject everything that its kind can be asked.

    Args:
        name: Of a known subject, or `package.module:attribute`.
        ours: Whether promises that are this project's alone count.
        log: File for what pytest prints.
        on_progress: Called after each test.

    Raises:
        ConfigError: It cannot be found or opened, or is nothing that can be asked; says why.
        ContractFailedToRun: The tests ended before all was asked.
    """
    facts = await _facts(name)
    answers = []
    began, began_s = datetime.now(UTC), time.monotonic()
    asking = run_contract(
        (),
        suite=f"harness.verdicts.suites.{facts.kind}",
        log=log,
        arguments=[
            *("-p", "harness.verdicts.opening", "--subject", name),
            *("-p", "pytest_timeout", f"--timeout={TEST_TIMEOUT_S}"),
        ],
    )
    async with contextlib.aclosing(asking) as asked:
        async for progress in asked:
            answers.append(progress.outcome)
            on_progress(progress.done, progress.total, progress.outcome.contract)
    return Verdict(
        subject=name,
        kind=facts.kind,
        class_name=facts.class_name,
        distribution=facts.distribution,
        made_at=began,
        duration_s=time.monotonic() - began_s,
        answers=tuple(answers),
        ours=ours,
    )


async def _facts(name: str) -> Facts:
    """Open the subject once, so that a set-up that fails is no broken promise."""
    subject = find(name)
    try:
        async with subject.open() as opened:
            facts = facts_of(opened)
    except Exception as exc:  # whatever its set-up raises
        raise ConfigError(f"{name} cannot be opened: {type(exc).__name__}: {exc}") from exc
    if facts is None:
        kinds = " or ".join(f"{one.__module__}.{one.__qualname__}" for one in BASES.values())
        raise ConfigError(f"{name} yields a {type(opened).__qualname__}, which is no {kinds}")
    return facts
