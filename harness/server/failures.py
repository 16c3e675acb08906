"""What an error is over HTTP: a status and one line, and never a trace of the code."""

import logging
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from harness.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    HarnessError,
    InvalidInput,
    LeaseLost,
    NotFound,
    OutcomeUnknown,
    Overloaded,
)
from harness.server.http import Reply

logger = logging.getLogger("harness.server")


class HttpError(HarnessError, RuntimeError):
    """The request cannot be answered."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


_STATUSES: Final[dict[type[HarnessError], int]] = {
    InvalidInput: 422,
    NotFound: 404,
    Conflict: 409,
    Forbidden: 403,
    LeaseLost: 409,
    Overloaded: 503,
    DatabaseUnavailable: 503,
    OutcomeUnknown: 503,
}

COMMON_FAILURES: Final = (401, 413, 422, 503)
"""Statuses that every route may answer with."""


def reply_to(error: Exception) -> Reply:
    """Return the answer to a request whose handling raised."""
    if isinstance(error, HttpError):
        return Reply(status=error.status, body={"detail": str(error)}, headers=error.headers)
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            headers = {"Retry-After": "1"} if status == 503 else {}
            return Reply(status=status, body={"detail": str(error)}, headers=headers)
    if isinstance(error, ValidationError):
        return Reply(status=422, body={"detail": _first_of(error)})
    logger.error("a request failed", exc_info=error)
    return Reply(status=500, body={"detail": "Internal server error"})


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
