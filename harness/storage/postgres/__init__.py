"""The subject of the bench: five engines over one Postgres database.

Each module has its SQL in a file of its name beside it (`harness.storage.postgres.sql`).
"""

from harness.database import Database
from harness.storage.postgres.assistants import PostgresAssistants
from harness.storage.postgres.crons import PostgresCrons
from harness.storage.postgres.items import PostgresItems
from harness.storage.postgres.leases import PostgresLeases
from harness.storage.postgres.runs import PostgresRuns
from harness.storage.postgres.threads import PostgresThreads

__all__ = ["PostgresBackend"]


class PostgresBackend:
    """The five engines over an open and migrated database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.assistants = PostgresAssistants(database)
        self.threads = PostgresThreads(database)
        self.runs = PostgresRuns(database)
        self.items = PostgresItems(database)
        self.crons = PostgresCrons(database)
        self.leases = PostgresLeases(database)
