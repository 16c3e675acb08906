"""Tells whether a connection is dead, before anything is sent on it and after an error."""

import select

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import Diagnostic
from psycopg.pq import ConnStatus

_FATAL_SQLSTATES = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"})
"""What a server says as it ends a session: shutdown, crash, timeouts of the session.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""
_MAX_READS = 8


def is_stale(connection: AsyncConnection[object]) -> bool:
    """Whether the server has ended an idle connection, found out without a round trip.

    A server that stops or crashes leaves a last message and an end-of-file in the socket, so a
    poll that does not wait (about 1 µs) tells. The end-of-file may come later than the message, in
    which libpq sees a notice; that it is fatal tells too. What else may lie there on a live
    connection, such as a notice or a TLS ticket, is read and kept by libpq.
    """
    pgconn = connection.pgconn
    if pgconn.status != ConnStatus.OK:
        return True
    poller = select.poll()
    poller.register(pgconn.socket, select.POLLIN)
    if not poller.poll(0):
        return False
    last_words: list[str | None] = []

    def note(said: Diagnostic) -> None:
        last_words.append(said.severity_nonlocalized)

    connection.add_notice_handler(note)
    try:
        for _ in range(_MAX_READS):
            pgconn.consume_input()
            pgconn.is_busy()  # handles what was read
            if pgconn.status != ConnStatus.OK or "FATAL" in last_words:
                return True
            if not poller.poll(0):
                return False
    except psycopg.OperationalError:
        return True
    finally:
        connection.remove_notice_handler(note)
    return True  # a peer that never stops talking to an idle client is not one to send to


def has_died(connection: AsyncConnection[object], error: BaseException) -> bool:
    """Whether this error of a statement means that its connection is gone."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    sqlstate = error.sqlstate or ""
    return (
        connection.pgconn.status != ConnStatus.OK
        or sqlstate in _FATAL_SQLSTATES
        or sqlstate.startswith("08")
    )
