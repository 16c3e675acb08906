"""The measurements of a run, each saved as soon as there is something to save."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.commands.display import Display
from harness.config import ProvisionConfig
from harness.measure.contract_run import contract_results, measure_contract
from harness.measure.environment import collect
from harness.measure.plans import PLANS, PlanName
from harness.measure.records import ContractOutcome, Kind, Results, save
from harness.provision import PostgresServer, Storage, describe, provisioned


class Measurements:
    """Asks and measures, each on the kind of server that it needs.

    Args:
        plan: How much.
        backends: Whom.
        folder: Where results are saved.
        into: Gets everything that was found, also what an interruption left behind.
    """

    def __init__(
        self, plan: PlanName, backends: Sequence[str], folder: Path, into: list[Results]
    ) -> None:
        self._plan: PlanName = plan
        self._backends = tuple(backends)
        self._folder = folder
        self._into = into
        self._stack = AsyncExitStack()
        self._server: PostgresServer | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def contract(self, display: Display) -> None:
        """Ask the backends for their promises.

        Raises:
            HarnessError: There is no server, the suite ended early, or the disk is full.
        """
        outcomes: list[ContractOutcome] = []
        complete = False
        async with self._serving("tmpfs") as server:
            environment = await collect(server)
            with display.step("contract") as on_progress:
                try:
                    await measure_contract(
                        server,
                        self._backends,
                        quick=self._plan == "quick",
                        log=self._folder / "contract.log",
                        on_progress=on_progress,
                        into=outcomes,
                    )
                    complete = True
                finally:
                    if outcomes:
                        self._keep(contract_results(outcomes, environment, complete=complete))

    async def measure(self, kind: Kind, display: Display) -> None:
        """Make one of the measurements; none of what needs a server where none is asked for.

        Raises:
            HarnessError: The server, a measurement or the disk failed.
        """
        from harness.measure.measurements import MEASUREMENTS  # noqa: PLC0415 -- takes seconds

        measurement = MEASUREMENTS[kind]
        server = await self._measured(display)
        if server is None and measurement.needs_postgres:
            return
        with display.step(kind) as on_progress:
            plan = PLANS[self._plan]
            self._keep(await measurement.measure(server, plan, on_progress=on_progress))
        self._stop_if_interrupted()

    def _keep(self, results: Results) -> None:
        save(results, self._folder)
        self._into.append(results)

    def _stop_if_interrupted(self) -> None:
        """Go on being cancelled: an interrupted measurement returns what it had."""
        if not self._into[-1].complete:
            raise asyncio.CancelledError

    async def _measured(self, display: Display) -> PostgresServer | None:
        """The server that is measured, started once: its data on a disk, with fsync."""
        if self._server is None and "postgres" in self._backends:
            self._server = await self._stack.enter_async_context(self._serving("disk"))
            if self._server is not None:
                display.note(describe(self._server))
        return self._server

    @asynccontextmanager
    async def _serving(self, storage: Storage) -> AsyncGenerator[PostgresServer | None, None]:
        """A server while it is needed; None for memory alone."""
        if "postgres" not in self._backends:
            yield None
            return
        async with provisioned(ProvisionConfig.from_env(), storage=storage) as server:
            yield server
