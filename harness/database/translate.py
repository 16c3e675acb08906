"""The one place where psycopg's errors become ours.

Integrity errors (unique, foreign key, check, exclusion) are left as they are: only the statement
that met one knows whether it is a `Conflict`, a `NotFound` or a mistake.
"""

from typing import NoReturn

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

_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[HarnessError], str], ...] = (
    ((PoolTimeout, TooManyRequests), Overloaded, "no database connection became free in time"),
    ((PoolClosed,), DatabaseUnavailable, "the connection to the database has been closed"),
    (
        (pg.DataError, pg.ProgramLimitExceeded, pg.StatementTooComplex),
        InvalidInput,
        "the database cannot store this value; nothing was written",
    ),
    (
        (pg.DeadlockDetected, pg.SerializationFailure),
        Conflict,
        "the change collided with concurrent ones; nothing was written",
    ),
    (
        (pg.QueryCanceled, pg.LockNotAvailable),
        Overloaded,
        "the database gave the statement up; nothing was written",
    ),
    (
        (pg.DiskFull,),
        HarnessError,
        "the database's disk is full; nothing was written, free space and try again",
    ),
    (
        (pg.ReadOnlySqlTransaction,),
        HarnessError,
        "the database is read-only; connect to its primary",
    ),
    (
        (pg.InsufficientPrivilege,),
        HarnessError,
        "the database user lacks a right that is needed",
    ),
    (
        (pg.UndefinedTable, pg.InvalidSchemaName),
        SchemaMismatch,
        "the database has not been migrated",
    ),
    ((pg.OutOfMemory,), HarnessError, "the database is out of memory; nothing was written"),
)


def raise_translated(error: psycopg.Error) -> NoReturn:
    """Raise our error from one of psycopg's; the error itself where it has no general meaning."""
    for types, meaning, message in _MEANINGS:
        if isinstance(error, types):
            raise meaning(f"{message} ({reason(error)})") from error
    raise error
