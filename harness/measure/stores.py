"""Asks LangGraph's stores and ours the contract's questions, and times them side by side."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from harness.measure.agent_plans import StoresPlan
from harness.measure.agent_records import DISTURBANCES, StoreMix
from harness.measure.contract_run import ContractFailedToRun, run_contract
from harness.measure.paired import OnProgress, Samples, Subject, alternate, timed
from harness.measure.plans import Plan
from harness.measure.records import ContractOutcome, Results, Timing
from harness.measure.running import completed, nothing_yet, silent
from harness.measure.store_mix import MixCase, documents
from harness.measure.store_sites import StoreSite, open_sites
from harness.measure.store_work import StoreCase, StoreWork, store_works
from harness.measure.timing import Timed, time_side_by_side
from harness.provision import PostgresServer

SUITE: Final = "harness.measure.suites.stores"
_WARM_UP: Final = 1


async def measure_stores(
    server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = silent
) -> Results:
    """Ask each store the questions of its contract, then time it, then disturb its callers.

    Args:
        server: Where to make scratch databases; None: the stores in memory only.
        plan: What to measure.
        on_progress: Told after each question and each sample.

    Returns:
        Results; those of a cancelled measurement hold what it had, and are not `complete`.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ContractFailedToRun: The questions could not be asked.
        ResultsError: A store did not do its work.
    """
    empty = await nothing_yet("stores", server)
    found = _Found(on_progress)
    complete = await completed(_measure(server, plan.agents.stores, found))
    return replace(
        empty,
        contract=found.outcomes,
        timings=found.timings,
        stores=found.mixes,
        complete=complete,
    )


@dataclass(slots=True)
class _Found:
    """What there is by now."""

    on_progress: OnProgress
    outcomes: list[ContractOutcome] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    mixes: list[StoreMix] = field(default_factory=list)
    samples: int = 0

    def tell(self, label: str, total: int) -> None:
        """Tell of one more question or sample, of as many as there will be."""
        self.on_progress(len(self.outcomes) + self.samples, total, label)

    def sampled(self, label: str, total: int) -> None:
        """Count a sample, and tell of it."""
        self.samples += 1
        self.tell(label, len(self.outcomes) + total)


async def _measure(server: PostgresServer | None, plan: StoresPlan, found: _Found) -> None:
    works = store_works(plan.items, plan.callers)
    stores = 2 if server is None else 4
    timings = len(works) * (plan.rounds + _WARM_UP)
    mixes = len(DISTURBANCES) * (plan.mix_rounds + _WARM_UP)
    total = stores * (timings + mixes)
    await _ask(server, found, total)
    async with open_sites(server) as sites:
        for seed, work in enumerate(works):
            await _time(sites, work, plan, found, seed=seed, total=total)
            found.samples = stores * (plan.rounds + _WARM_UP) * (seed + 1)
        await _disturb(sites, plan, found, total=total)


async def _ask(server: PostgresServer | None, found: _Found, more: int) -> None:
    """Put the questions in a pytest of their own."""
    if server is None:
        backends, arguments, environment = ["memory"], ["-m", "not postgres"], {}
    else:
        backends, arguments = ["memory", "postgres"], ["--require-postgres"]
        environment = {"DATABASE_URL": server.url}
    with _log() as log:
        asking = run_contract(
            backends, suite=SUITE, log=log, arguments=arguments, environment=environment
        )
        async with contextlib.aclosing(asking) as asked:
            async for progress in asked:
                found.outcomes.append(progress.outcome)
                found.tell(f"questions to {progress.outcome.backend}", progress.total + more)


@contextlib.contextmanager
def _log() -> Iterator[Path]:
    """Lend a file for what pytest prints; it stays where the suite failed, whose error names it."""
    with tempfile.NamedTemporaryFile(prefix="harness-stores-", suffix=".log", delete=False) as file:
        path = Path(file.name)
    keep = False
    try:
        yield path
    except ContractFailedToRun:
        keep = True
        raise
    finally:
        if not keep:
            path.unlink()


async def _time(
    sites: list[StoreSite],
    work: StoreWork,
    plan: StoresPlan,
    found: _Found,
    *,
    seed: int,
    total: int,
) -> None:
    """Sample all stores at one work."""
    await time_side_by_side(
        [
            Timed(
                subject=Subject(site.name, partial(timed, StoreCase(site, work))),
                workload=work.name,
                resource="store",
                operations=work.operations,
            )
            for site in sites
        ],
        found.timings,
        rounds=plan.rounds,
        seed=seed,
        budget_s=plan.budget_s,
        on_sample=partial(found.sampled, f"{work.operations} x {work.operation}", total),
    )


async def _disturb(sites: list[StoreSite], plan: StoresPlan, found: _Found, *, total: int) -> None:
    """Let callers meet one another, with a disturbance among them and without."""
    archive = documents(plan)
    for site in sites:
        await site.clear()
        await site.plant(archive)
    cases = [MixCase(site, disturbance, plan) for site in sites for disturbance in DISTURBANCES]
    samples = [Samples() for _ in cases]
    subjects = [Subject(f"{case.site.name}: {case.disturbance}", case.sample) for case in cases]
    try:
        await alternate(
            subjects,
            samples,
            rounds=plan.mix_rounds,
            warm_up=_WARM_UP,
            on_sample=partial(found.sampled, f"{plan.callers} callers", total),
        )
    finally:
        found.mixes += [
            case.found(kept, _WARM_UP)
            for case, kept in zip(cases, samples, strict=True)
            if kept.seconds
        ]
