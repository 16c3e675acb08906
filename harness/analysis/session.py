"""What a notebook works with: results that lie in a folder, or measurements made now."""

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
from tqdm import tqdm

from harness.config import DatabaseConfig, ProvisionConfig, results_folder
from harness.database import Database, ScratchDatabases
from harness.errors import ResultsError
from harness.measure.contract_run import measure_contract
from harness.measure.paired import OnProgress
from harness.measure.plans import PLANS, PlanName
from harness.measure.records import Kind, Results, load, newest
from harness.provision import PostgresServer, provisioned
from harness.schema.inspect import Table, inspect_database
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend

if TYPE_CHECKING:
    from harness.faults.rows import CheckpointRow
    from harness.faults.served import Served
    from harness.faults.talker import Talker

BACKENDS: Final = ("memory", "postgres")


class Session:
    """Gives a notebook its results, and a database to look into.

    Args:
        results: Folder whose newest results are shown; None: measure now.
        plan: How much to measure.
        backends: Whom to ask and to measure.
    """

    def __init__(
        self,
        results: Path | None = None,
        *,
        plan: PlanName = "quick",
        backends: Sequence[str] = BACKENDS,
    ) -> None:
        self._results = results
        self._plan = plan
        self._backends = tuple(backends)
        self._stack = AsyncExitStack()
        self._server: PostgresServer | None = None
        self._database: Database | None = None

    @property
    def source(self) -> str:
        """Where the results come from, in words."""
        if self._results is None:
            return f"measured now ({self._plan} plan)"
        return f"loaded from {self._results.resolve().name}"

    async def contract(self) -> Results:
        """Which promises the backends keep.

        Raises:
            ResultsError: There are no such results in the folder.
            HarnessError: The suite could not be run.
        """
        loaded = self._load("contract")
        if loaded is not None:
            return loaded
        server = await self._measured()
        with _bar() as on_progress, tempfile.TemporaryDirectory() as folder:
            return await measure_contract(
                server,
                self._backends,
                quick=self._plan == "quick",
                log=Path(folder, "contract.log"),
                on_progress=on_progress,
            )

    async def timings(self) -> Results:
        """How long creates and the other operations take, beside their floors; raises as `of`."""
        return await self.of("timings")

    async def pool(self) -> Results:
        """How connection pools of several sizes are used; raises as `of`."""
        return await self.of("pool")

    async def streaming(self) -> Results:
        """How long chat turns take on each checkpointer; raises as `of`."""
        return await self.of("streaming")

    async def durability(self) -> Results:
        """What a run loses when its database dies; raises as `of`."""
        return await self.of("durability")

    async def restarts(self) -> Results:
        """How long agent servers are away when they are restarted in mid-run; raises as `of`."""
        return await self.of("restarts")

    async def savers(self) -> Results:
        """How checkpointers use connection pools, and one conversation alone; raises as `of`."""
        return await self.of("savers")

    async def growth(self) -> Results:
        """How threads grow with their turns, and what pruning gives back; raises as `of`."""
        return await self.of("growth")

    async def stores(self) -> Results:
        """How LangGraph's stores and ours answer, and how long they take; raises as `of`."""
        return await self.of("stores")

    async def server(self) -> Results:
        """How long the agent server takes over HTTP, and how its pool is used; raises as `of`."""
        return await self.of("server")

    async def of(self, kind: Kind) -> Results:
        """Return the results of a measurement: the newest of the folder, or made now.

        Raises:
            ResultsError: There are no such results in the folder.
            HarnessError: They could not be measured.
        """
        loaded = self._load(kind)
        if loaded is not None:
            return loaded
        server = await self._measured()
        from harness.measure.measurements import MEASUREMENTS  # noqa: PLC0415 -- takes seconds

        with _bar() as on_progress:
            measure = MEASUREMENTS[kind].measure
            return await measure(server, PLANS[self._plan], on_progress=on_progress)

    async def storage(self) -> FullStorage:
        """Storage on a scratch database, which is dropped when the session closes.

        Raises:
            DatabaseUnavailable: The server cannot be reached.
            ProvisionError: There is none, or it allows no databases to be made.
        """
        return LocalStorage(PostgresBackend(await self._scratch()))

    async def conversation(self, *, memory: bool = False) -> "Talker":
        """Start a process to talk to and to kill; the session ends it when it closes.

        It stores in the scratch database, or in memory.

        Raises:
            DatabaseUnavailable: The server cannot be reached.
            ProvisionError: There is none, or it allows no databases to be made.
            TalkerEnded: The process could not start.
        """
        from harness.faults.talker import Talker  # noqa: PLC0415 -- likewise

        talker = Talker(None if memory else (await self._scratch()).config.url)
        await talker.start()
        self._stack.push_async_callback(talker.close)
        return talker

    async def serving(self, *, memory: bool = False) -> "Served":
        """Start an agent server to ask, to kill and to start again; the session ends it.

        It stores in the scratch database, or in memory.

        Raises:
            DatabaseUnavailable: The database server cannot be reached.
            ProvisionError: There is none, or it allows no databases to be made.
            ServerEnded: The agent server could not start.
        """
        from harness.faults.served import Served  # noqa: PLC0415 -- likewise

        url = None if memory else (await self._scratch()).config.url
        return await self._stack.enter_async_context(Served(url, settings={"HARNESS_LEASE_S": "1"}))

    async def checkpoints(self, thread_id: str) -> "list[CheckpointRow]":
        """The rows of a thread in the scratch database's checkpoint tables, decoded."""
        from harness.faults.rows import checkpoint_rows  # noqa: PLC0415 -- likewise

        return await checkpoint_rows(str((await self._scratch()).config.url), thread_id)

    async def tables(self) -> list[Table]:
        """What lies in the scratch database, as tables."""
        database = await self._scratch()
        async with database.pool.connection() as connection:
            return await inspect_database(connection)

    async def tables_of(self, url: str) -> list[Table]:
        """What lies in a database of your own; nothing is written to it.

        Raises:
            ConfigError: The address is malformed.
            psycopg.Error: The database refuses.
        """
        config = DatabaseConfig(url=url)
        async with await psycopg.AsyncConnection.connect(
            str(config.url), autocommit=True, prepare_threshold=None, connect_timeout=5
        ) as connection:
            return await inspect_database(connection)

    async def close(self) -> None:
        """Drop the scratch database and stop the server; safe to call twice."""
        self._server = self._database = None
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    def _load(self, kind: Kind) -> Results | None:
        if self._results is None:
            return None
        path = newest(self._results, kind)
        if path is None:
            raise ResultsError(
                f"there are no {kind} results in {self._results}; "
                "make some with `harness run`, or unset HARNESS_RESULTS to measure now"
            )
        return load(path)

    async def _measured(self) -> PostgresServer | None:
        return await self._serve() if "postgres" in self._backends else None

    async def _serve(self) -> PostgresServer:
        """The server to measure on: with fsync, on a disk."""
        if self._server is None:
            config = ProvisionConfig.from_env()
            self._server = await self._stack.enter_async_context(
                provisioned(config, storage="disk")
            )
        return self._server

    async def _scratch(self) -> Database:
        if self._database is None:
            server = await self._serve()
            scratch = await self._stack.enter_async_context(ScratchDatabases(server.url))
            url = await self._stack.enter_async_context(scratch.clone())
            self._database = await self._stack.enter_async_context(
                Database(DatabaseConfig.for_scratch(url), name="notebook")
            )
        return self._database


def open_session(
    results: Path | str | None = None,
    *,
    plan: PlanName = "quick",
    backends: Sequence[str] = BACKENDS,
) -> Session:
    """Return a session on a folder of results, by default the one of `HARNESS_RESULTS`.

    Without either it measures: `plan` is `quick` (seconds), `default` or `full` (minutes).
    """
    folder = Path(results) if results is not None else results_folder()
    return Session(folder, plan=plan, backends=backends)


class _bar:  # noqa: N801 -- used as a function is
    """A progress bar that is gone when the measurement is done."""

    def __enter__(self) -> OnProgress:
        self._bar = tqdm(leave=False, bar_format="{l_bar}{bar}| {n_fmt} of {total_fmt}")
        return self._show

    def __exit__(self, *_exc: object) -> None:
        self._bar.close()

    def _show(self, done: int, total: int, what: str) -> None:
        self._bar.total = total
        self._bar.set_description(what, refresh=False)
        self._bar.update(done - self._bar.n)
