"""The database of a process: its pool, its errors, its clock, and scratch copies for tests."""

from harness.database.connections import Pool
from harness.database.database import Database
from harness.database.gate import on_behalf_of
from harness.database.patience import step_aside
from harness.database.scratch import ScratchDatabases, with_database
from harness.database.usage import Usage

__all__ = [
    "Database",
    "Pool",
    "ScratchDatabases",
    "Usage",
    "on_behalf_of",
    "step_aside",
    "with_database",
]
