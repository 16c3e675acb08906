"""Every error that psycopg can raise has one meaning here, and one status over HTTP."""

import inspect
from collections.abc import Iterator

import psycopg
import psycopg_pool
import pytest
from psycopg import errors as pg

from harness.database.conninfo import reason
from harness.database.translate import meaning_of, raise_translated
from harness.errors import DatabaseFailed, HarnessError
from harness.server.failures import reply_to

STATUSES = {
    "Conflict": 409,
    "DatabaseUnavailable": 503,
    "InvalidInput": 422,
    "Overloaded": 503,
    "SchemaMismatch": 503,
}
RAW = frozenset(
    [
        *("01", "02", "03", "09", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "23", "24", "25"),
        *("26", "27", "2B", "2D", "2F", "34", "38", "39", "3B", "3F", "42", "44", "72", "HV", "P0"),
    ]
)
"""Classes of SQLSTATE that only a wrong statement, or a caller who knows more, can meet."""
MESSAGE = 'connection to server at "10.1.2.3", port 5432 failed: FATAL: role "payroll"'


def every_error() -> Iterator[type[Exception]]:
    """Return every class of error of psycopg and its pool that somebody can meet."""
    for module in (pg, psycopg_pool):
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, psycopg.Error):
                yield found


def translated(error: Exception) -> Exception:
    """Return what a caller gets instead of an error of psycopg's."""
    try:
        raise_translated(error)  # type: ignore[arg-type]  # it is psycopg's
    except (HarnessError, psycopg.Error) as raised:
        return raised


@pytest.mark.parametrize("kind", sorted(set(every_error()), key=str))
def test_each_error_has_one_status(kind: type[Exception]) -> None:
    """It is one of ours with its status, or a fault of this project; no address is shown."""
    error = translated(kind(MESSAGE))
    reply = reply_to(error)
    if isinstance(error, HarnessError):
        assert reply.status == STATUSES[type(error).__name__]
        assert reason(kind(MESSAGE)) in str(error)
    elif isinstance(error, psycopg.IntegrityError):
        assert reply.status == 409
    else:
        sqlstate: str | None = getattr(kind, "sqlstate", None)
        assert reply.status == 500
        assert sqlstate is None or sqlstate[:2] in RAW
        assert sqlstate is not None or not isinstance(error, psycopg.OperationalError)
    assert "payroll" not in str(reply.body)
    assert "10.1.2.3" not in str(reply.body)


def test_a_class_that_is_not_known_yet_is_a_fault_of_the_database() -> None:
    """An operational error without a SQLSTATE, as libpq raises them, is one of the database's."""
    meaning = meaning_of(psycopg.OperationalError(MESSAGE))
    assert meaning is not None
    assert STATUSES[meaning.kind.__name__] == 503


@pytest.mark.parametrize("kind", DatabaseFailed.__subclasses__())
def test_a_fault_of_the_database_names_none(kind: type[DatabaseFailed]) -> None:
    """Whatever its message says, the answer to a request does not say it."""
    reply = reply_to(kind(MESSAGE))
    assert reply.status == 503
    assert "payroll" not in str(reply.body)
