"""What an error is over HTTP: a status and one line, and never a trace of the code."""

import logging
from collections.abc import Mapping
from typing import Final

import psycopg
from pydantic import BaseModel, ValidationError

from harness.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    GraphUnusable,
    HarnessError,
    InvalidInput,
    LeaseLost,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    SchemaMismatch,
    Unreadable,
)
from harness.server.http import Reply

logger = logging.getLogger("harness.server")

LONGEST_DETAIL: Final = 1_000
"""Characters of a detail: it may quote names out of the request."""


class HttpError(HarnessError, RuntimeError):
    """The request cannot be answered."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


class Failure(BaseModel):
    """What went wrong, in one line."""

    detail: str


_STATUSES: Final[dict[type[HarnessError], int]] = {
    InvalidInput: 422,
    GraphUnusable: 422,
    NotFound: 404,
    Conflict: 409,
    Forbidden: 403,
    LeaseLost: 409,
    Unreadable: 409,
    Overloaded: 503,
    DatabaseUnavailable: 503,
    OutcomeUnknown: 503,
    SchemaMismatch: 503,
}
_PASSES: Final = (Overloaded, DatabaseUnavailable)
"""What a caller may simply try again; a write of unknown outcome could be done twice."""


def reply_to(error: BaseException) -> Reply:
    """Return the answer to a request whose handling raised."""
    if isinstance(error, HttpError):
        return told(error.status, str(error), error.headers)
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            if status == 503:
                logger.warning("a request met a fault of the database: %s", error)
            again = isinstance(error, _PASSES)
            return told(status, error.public, {"Retry-After": "1"} if again else {})
    if isinstance(error, psycopg.IntegrityError):
        return told(409, "the change contradicts what is stored; nothing was written")
    if isinstance(error, ValidationError):
        return told(422, _first_of(error))
    logger.error("a request failed", exc_info=error)
    return told(500, "Internal server error")


def told(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return the one form of an error; what it quotes may be no Unicode, or very long."""
    text = detail[:LONGEST_DETAIL].encode(errors="replace").decode()
    return Reply(status=status, body={"detail": text}, headers=headers or {})


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
