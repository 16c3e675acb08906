"""Where subjects work: tables in memory or in Postgres, set up alike for everybody on them."""

from collections.abc import Callable
from typing import Final, Protocol

from psycopg import sql

from harness.database import Database
from harness.errors import ResultsError
from harness.measure.backends import plant
from harness.measure.calls import Calls
from harness.measure.rows import OWNER, Table, row_id
from harness.measure.workloads import Workload
from harness.schema import RUNTIME_TABLES, SCHEMA
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

_TABLES: Final[dict[Table, str]] = {
    "assistants": "assistants",
    "threads": "threads",
    "runs": "runs",
    "items": "store_items",
    "crons": "crons",
    "states": "thread_states",
}
_ALL: Final = sql.SQL(", ").join(sql.Identifier(SCHEMA, table) for table in RUNTIME_TABLES)


class Site(Protocol):
    """Tables that a workload starts from, runs on and is checked on."""

    @property
    def storage(self) -> FullStorage:
        """The backend that the rows are planted through."""

    async def clear(self) -> None:
        """Empty every table."""

    async def settle(self) -> None:
        """Let the tables come to rest after rows were planted."""

    async def count(self, table: Table) -> int:
        """Count rows."""


class MemorySite:
    """A memory backend, a fresh one after each `clear`."""

    def __init__(self) -> None:
        self.storage = LocalStorage(MemoryBackend())

    async def clear(self) -> None:
        """Start anew."""
        self.storage = LocalStorage(MemoryBackend())

    async def settle(self) -> None:
        """Do nothing: there is no background work in memory."""

    async def count(self, table: Table) -> int:
        """Count through the public interface."""
        match table:
            case "assistants":
                return await self.storage.assistants.count(owner=OWNER)
            case "threads":
                return await self.storage.threads.count(owner=OWNER)
            case "runs":
                return await self.storage.runs.count(owner=OWNER)
            case "items":
                return await self.storage.items.count_items((), owner=OWNER)
            case "crons":
                return await self.storage.crons.count(owner=OWNER)
            case "states":
                thread_id = row_id("threads", 0)
                threads = self.storage.threads
                return len(await threads.get_history(thread_id, limit=1_000, owner=OWNER))


class PostgresSite:
    """A scratch database, migrated, that belongs to the measurement."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.storage = LocalStorage(PostgresBackend(database))

    async def clear(self) -> None:
        """Truncate: unlike after DELETE, no sample meets what the one before left behind."""
        async with self.database.pool.connection() as connection, connection.transaction():
            # Nothing that is set up has to survive a crash; what is timed commits as configured.
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(_ALL))

    async def settle(self) -> None:
        """Vacuum and analyze now, so that autovacuum has nothing to do in the timed part."""
        async with self.database.pool.connection() as connection:
            await connection.execute(sql.SQL("VACUUM ANALYZE {}").format(_ALL))

    async def count(self, table: Table) -> int:
        """Count with plain SQL."""
        name = sql.Identifier(SCHEMA, _TABLES[table])
        query = sql.SQL("SELECT count(*) AS count FROM {}").format(name)
        [row] = await self.database.read(query)
        return int(row["count"])


class Stage:
    """A site, and what has been planted on it: reads need not plant again what is still there."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._planted: tuple[str, int] | None = None

    async def set_up(self, workload: Workload) -> None:
        """Plant what the workload starts from; not timed."""
        wanted = (workload.table, workload.planted)
        if wanted != self._planted or workload.effect == "creates":
            parents = workload.operations if workload.effect == "creates" else 0
            await self.site.clear()
            await plant(self.site.storage, workload.table, workload.planted, parents=parents)
            await self.site.settle()
        self._planted = wanted if workload.effect == "reads" else None

    async def check(self, workload: Workload, found: int) -> None:
        """Count what is there now, and what was found.

        Raises:
            ResultsError: The work was not done.
        """
        left = await self.site.count(workload.table)
        if (left, found) != (workload.left, workload.expected):
            raise ResultsError(
                f"{workload.name} of {workload.resource} left {left} rows and found {found}, "
                f"where {workload.left} and {workload.expected} were expected"
            )


class WorkloadCase:
    """One subject doing one workload on a stage (a `harness.measure.paired.Case`).

    Args:
        stage: Where the rows are.
        workload: What to do.
        bind: Returns the subject's calls, once the stage is set up.
    """

    def __init__(self, stage: Stage, workload: Workload, bind: Callable[[], Calls]) -> None:
        self._stage, self._workload, self._bind = stage, workload, bind
        self._calls: Calls | None = None
        self._found = 0

    async def prepare(self) -> None:
        """Plant, and make the arguments of the calls."""
        await self._stage.set_up(self._workload)
        self._calls = self._bind()

    async def run(self) -> None:
        """Do the work."""
        if self._calls is None:
            raise ResultsError("the case was not prepared")
        self._found = await self._workload.run(self._calls)

    async def verify(self) -> None:
        """Check that it was done."""
        await self._stage.check(self._workload, self._found)
