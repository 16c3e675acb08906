"""The server's log: a line of JSON for each request, each run that failed, and what else happens.

Each line has `time` (ISO 8601, UTC), `level`, `logger` and `message`; `request_id`, `run_id` and
`thread_id` where it is about such; and `traceback` where something failed. No line holds a header,
a body or a key.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_MAX_PART: Final = 10_000
_MAX_TRACEBACK: Final = 50_000
"""Characters that are shown of an error's text, or of a frame, and of all in a traceback."""

_ABOUT: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar("log_fields", default=None)


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Say in each line within, tasks that begin there included, what it is about."""
    token = _ABOUT.set({**(_ABOUT.get() or {}), **fields})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; `extra={"fields": {…}}` adds fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_ABOUT.get() or {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            parts = traceback.format_exception(*record.exc_info)
            line["traceback"] = "".join(part[:_MAX_PART] for part in parts)[-_MAX_TRACEBACK:]
        try:
            return orjson.dumps(line, default=repr).decode()
        except TypeError:  # text that is no Unicode, or a number that is too long
            return json.dumps(line, default=repr)


def log_to_stderr() -> None:
    """Have this process log JSON lines to standard error, warnings of Python too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)
    # Nothing of it is shown, and each line would look it up.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for chatty in ("robyn", "actix_server", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
