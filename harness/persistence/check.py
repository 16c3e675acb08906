"""Checks what a server's database holds for rows that contradict one another, and repairs them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row, scalar_row

from harness.database import Database
from harness.errors import SchemaMismatch
from harness.storage.postgres.checkpoints import tables
from harness.storage.postgres.sql import load

SQL: Final = load("check", package="harness.persistence")

OnFault = Callable[[int, int, str], None]
"""Called after each kind of fault: how many kinds are done, of how many, and its name."""
Mend = Callable[[AsyncConnection[DictRow], Sequence[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of contradiction between rows."""

    name: str
    """Names its `find_` block, and by default its `mend_` block."""
    meaning: str
    repair: str
    """What repairing does; for a fault without a safe repair, what a person has to do."""
    mend: Mend | None
    """Repairs the subjects of the given ids, in a transaction; None: nothing is safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault that a database has."""

    fault: Fault
    subjects: int
    """How many threads, runs or rows have it."""
    rows: int
    """How many rows are wrong."""
    examples: list[str]
    """Ids of up to five subjects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A fault that a database had, and what a repair left of it."""

    found: Finding
    left: Finding | None
    """None: nothing."""


def _mending(block: str, lock: str | None = None) -> Mend:
    """Return what locks threads, if they are threads, and then sends a block."""

    async def mend(connection: AsyncConnection[DictRow], ids: Sequence[str]) -> None:
        subjects = list(ids)
        if lock is not None:
            subjects = await _ids(connection, lock, subjects)
        await connection.execute(SQL[block], {"ids": subjects})

    return mend


async def _mend_leaseless_runs(connection: AsyncConnection[DictRow], ids: Sequence[str]) -> None:
    threads = await _ids(connection, "threads_of_runs", ids)
    locked = await _ids(connection, "lock", threads)
    for block in ("mend_leaseless_runs", "mend_miscounted_threads"):
        await connection.execute(SQL[block], {"ids": locked})


async def _mend_misnamed_owners(connection: AsyncConnection[DictRow], _: Sequence[str]) -> None:
    for table in ("assistants", "threads", "runs", "crons"):
        await connection.execute(SQL.render("mend_misnamed_owners", table=table))


async def _ids(connection: AsyncConnection[DictRow], block: str, ids: Sequence[str]) -> list[str]:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(SQL[block], {"ids": list(ids)})
    return await cursor.fetchall()


_OF_STORAGE: Final = (
    Fault(
        name="leaseless_runs",
        meaning="runs that are running without a lease, so that no server takes them up",
        repair="they wait to be executed again",
        mend=_mend_leaseless_runs,
    ),
    Fault(
        name="miscounted_threads",
        meaning="threads that are busy without an active run, or miscount their runs",
        repair="their runs are counted anew",
        mend=_mending("mend_miscounted_threads", "lock"),
    ),
    Fault(
        name="temporary_threads",
        meaning="threads of stateless runs that have ended",
        repair="they are deleted",
        mend=_mending("mend_temporary_threads", "lock_idle"),
    ),
    Fault(
        name="expired_threads",
        meaning="threads that expired more than a day ago and were not swept",
        repair="they are deleted, with all that is of them",
        mend=_mending("mend_expired_threads", "lock_idle"),
    ),
    Fault(
        name="expired_items",
        meaning="items that expired more than an hour ago and were not swept",
        repair="they are deleted",
        mend=_mending("mend_expired_items"),
    ),
    Fault(
        name="misnamed_owners",
        meaning="rows whose metadata name another owner than theirs",
        repair="their metadata name their owner",
        mend=_mend_misnamed_owners,
    ),
    Fault(
        name="foreign_rows",
        meaning="runs and crons of another owner than their thread's",
        repair="find out whose they are, and delete them or set their owner",
        mend=None,
    ),
)
_OF_LANGGRAPH: Final = (
    Fault(
        name="lost_checkpoints",
        meaning="checkpoints, blobs or writes of threads that are gone",
        repair="they are deleted",
        mend=_mending("mend_lost_checkpoints"),
    ),
    Fault(
        name="unused_blobs",
        meaning="blobs to which no checkpoint refers",
        repair="they are deleted, except on busy threads",
        mend=_mending("mend_unused_blobs", "lock_idle"),
    ),
    Fault(
        name="unused_writes",
        meaning="writes whose checkpoint is not there, on threads without an active run",
        repair="they are deleted",
        mend=_mending("mend_unused_writes", "lock_idle"),
    ),
    Fault(
        name="false_heads",
        meaning="threads whose head is a checkpoint that is not there",
        repair="they show no head until their state is read",
        mend=_mending("mend_false_heads", "lock"),
    ),
)
FAULTS: Final = (*_OF_LANGGRAPH, *_OF_STORAGE)
"""Every kind of fault, in the order in which they are repaired."""


async def check_database(
    database: Database, *, on_fault: OnFault = lambda _done, _total, _name: None
) -> list[Finding]:
    """Return the faults that a database has; nothing is written.

    A server may run meanwhile: what a run that is being executed has not finished is no fault.
    Where LangGraph's tables are missing, their faults are not looked for.

    Raises:
        SchemaMismatch: No server has migrated this database.
        HarnessError: It cannot be read.
    """
    faults = await _faults(database)
    findings = []
    for done, fault in enumerate(faults, start=1):
        finding = await _find(database, fault)
        findings += [] if finding is None else [finding]
        on_fault(done, len(faults), fault.name)
    return findings


async def repair_database(
    database: Database, *, on_fault: OnFault = lambda _done, _total, _name: None
) -> list[Repaired]:
    """Repair what can be repaired safely; return what was found, and what is left of it.

    Each kind of fault is a transaction of its own. A server may run meanwhile, but no other program
    that writes checkpoints of its own into the same tables.

    Raises:
        SchemaMismatch: No server has migrated this database.
        HarnessError: It cannot be read or written; what was repaired before stays so.
    """
    faults = await _faults(database)
    repaired = []
    for done, fault in enumerate(faults, start=1):
        found = await _find(database, fault)
        if found is not None:
            if fault.mend is not None:
                async with database.transaction() as connection:
                    subjects = SQL.render("ids", found=SQL[f"find_{fault.name}"])
                    cursor = connection.cursor(row_factory=scalar_row)
                    ids = await (await cursor.execute(subjects)).fetchall()
                    await fault.mend(connection, ids)
            repaired.append(Repaired(found=found, left=await _find(database, fault)))
        on_fault(done, len(faults), fault.name)
    return repaired


async def _faults(database: Database) -> Sequence[Fault]:
    """Return what can be looked for, given the tables that are there."""
    if not await database.read(SQL["has_schema"]):
        raise SchemaMismatch(
            "no harness server has stored anything in this database; name one that a server uses"
        )
    whole = {"checkpoints", "checkpoint_blobs", "checkpoint_writes"} <= await tables(database)
    return FAULTS if whole else _OF_STORAGE


async def _find(database: Database, fault: Fault) -> Finding | None:
    summary = SQL.render("summary", found=SQL[f"find_{fault.name}"])
    [row] = await database.read(summary, row_factory=dict_row)
    return Finding(fault=fault, **row) if row["subjects"] else None
