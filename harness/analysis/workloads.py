"""What workloads, resources and subjects are called in pictures and tables."""

import re
from typing import Final

BACKENDS: Final = ("memory", "postgres")
RESOURCES: Final = ("assistants", "threads", "runs", "items", "crons")

_WORKLOADS: Final = {
    "create_sequential": "{n} creates one after another",
    "create_20_workers": "{n} creates by 20 workers",
    "create_at_once": "{n} creates all at once",
    "create_many": "{n} rows in one create_many",
    "add_state": "snapshot",
    "get_state": "state read",
    "get_history": "history of 10",
}
_SCALED: Final = re.compile(r"(list|newest_10_of|search_10_of)_(\d+)")
_SCALED_WORDS: Final = {
    "list": "list of {n}",
    "newest_10_of": "newest 10 of {n}",
    "search_10_of": "search of 10 among {n}",
}
_FLOORS: Final = {
    "floor": "the same SQL through bare psycopg",
    "pgbench": "pgbench",
    "copy": "COPY",
}


def is_backend(subject: str) -> bool:
    """Whether it is a backend, and not one of the floors beneath it."""
    return subject in BACKENDS


def workload_label(workload: str, operations: int = 100) -> str:
    """A workload in words: `100 creates one after another`."""
    scaled = _SCALED.fullmatch(workload)
    if scaled:
        return _SCALED_WORDS[scaled[1]].format(n=f"{int(scaled[2]):,}")
    text = _WORKLOADS.get(workload, workload.replace("_", " "))
    return text.format(n=f"{operations:,}")


def subject_label(subject: str) -> str:
    """A floor in words: `the same SQL through bare psycopg`."""
    return _FLOORS.get(subject, subject)


def rows_of(workload: str) -> int:
    """Among how many rows a search or list works; 0 for other workloads."""
    scaled = _SCALED.fullmatch(workload)
    return int(scaled[2]) if scaled else 0
