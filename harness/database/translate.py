"""The one place where psycopg's errors become ours.

Integrity errors (unique, foreign key, check, exclusion) are left as they are: only the statement
that met one knows whether it is a `Conflict`, a `NotFound` or a mistake. So are errors that only a
wrong statement can meet (of classes 25 and 42, say): they are faults of this project.
"""

from dataclasses import dataclass
from typing import Final, NoReturn

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from harness.database.conninfo import reason
from harness.errors import (
    Conflict,
    DatabaseUnavailable,
    HarnessError,
    InvalidInput,
    Overloaded,
    SchemaMismatch,
)

ROLLED_BACK = (pg.DeadlockDetected, pg.SerializationFailure)
"""The server undid the whole transaction, so that a single statement may be sent again."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of psycopg means to a caller."""

    kind: type[HarnessError]
    message: str
    """Says what happened and what to do; names nothing of the database."""


POOLED: Final = Meaning(
    DatabaseUnavailable,
    "the database is behind a pooler in transaction mode, which loses prepared statements; set "
    "DATABASE_PREPARE_THRESHOLD=none",
)
_UNUSABLE: Final = Meaning(DatabaseUnavailable, "the database cannot be used right now")
_INTERNAL: Final = Meaning(
    DatabaseUnavailable, "the database failed inside; its own log says more; nothing was written"
)
_GIVEN_UP: Final = Meaning(Overloaded, "the database gave the statement up; nothing was written")
_COLLIDED: Final = Meaning(
    Conflict, "the change collided with concurrent ones; nothing was written"
)
_UNSTORABLE: Final = Meaning(
    InvalidInput, "the database cannot store this value; nothing was written"
)

_OF_TYPES: Final[tuple[tuple[tuple[type[Exception], ...], Meaning], ...]] = (
    (
        (PoolTimeout, TooManyRequests),
        Meaning(Overloaded, "no database connection became free in time"),
    ),
    (
        (PoolClosed,),
        Meaning(DatabaseUnavailable, "the connection to the database has been closed"),
    ),
    ((pg.QueryCanceled, pg.LockNotAvailable), _GIVEN_UP),
    (
        (pg.DiskFull,),
        Meaning(
            DatabaseUnavailable,
            "the database's disk is full; nothing was written, free space and try again",
        ),
    ),
    (
        (pg.OutOfMemory,),
        Meaning(DatabaseUnavailable, "the database is out of memory; nothing was written"),
    ),
    (
        (pg.TooManyConnections,),
        Meaning(
            DatabaseUnavailable,
            "the database has no connection left; raise max_connections or make pools smaller",
        ),
    ),
    (
        (pg.ReadOnlySqlTransaction,),
        Meaning(
            DatabaseUnavailable,
            "the database is read-only; nothing was written, connect to its primary",
        ),
    ),
    (
        (pg.InsufficientPrivilege,),
        Meaning(DatabaseUnavailable, "the database user lacks a right that is needed"),
    ),
    (
        (pg.UndefinedTable, pg.UndefinedColumn, pg.UndefinedFunction, pg.InvalidSchemaName),
        Meaning(SchemaMismatch, "the database has not been migrated to this version"),
    ),
    ((pg.InvalidSqlStatementName, pg.DuplicatePreparedStatement), POOLED),
    ((pg.IdleInTransactionSessionTimeout,), _UNUSABLE),
)
"""Meanings of single errors, before those of their class."""

_OF_CLASSES: Final[dict[str, Meaning]] = {
    "08": _UNUSABLE,  # connection exception
    "0A": _INTERNAL,  # feature not supported: an older server than the SQL is written for
    "22": _UNSTORABLE,  # data exception
    "28": Meaning(DatabaseUnavailable, "the database refuses this server's user"),
    "3D": Meaning(DatabaseUnavailable, "the database does not exist"),
    "40": _COLLIDED,  # transaction rollback
    "53": Meaning(DatabaseUnavailable, "the database lacks resources; nothing was written"),
    "54": _UNSTORABLE,  # program limit exceeded
    "55": _GIVEN_UP,  # object not in prerequisite state
    "57": _UNUSABLE,  # operator intervention
    "58": _INTERNAL,  # system error
    "F0": _INTERNAL,  # configuration file error
    "XX": _INTERNAL,  # internal error
}
"""By the first two characters of SQLSTATE.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""


def meaning_of(error: Exception) -> Meaning | None:
    """Return what an error means; None where it has no general meaning."""
    for types, meaning in _OF_TYPES:
        if isinstance(error, types):
            return meaning
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return _OF_CLASSES.get(sqlstate[:2])
    if isinstance(error, psycopg.DataError):
        return _UNSTORABLE  # psycopg's own: it cannot say the value in SQL
    if isinstance(error, psycopg.OperationalError):
        return _UNUSABLE
    return None


def raise_translated(error: psycopg.Error) -> NoReturn:
    """Raise our error from one of psycopg's; the error itself where it has no general meaning."""
    meaning = meaning_of(error)
    if meaning is None:
        raise error
    raise meaning.kind(f"{meaning.message} ({reason(error)})", public=meaning.message) from error
