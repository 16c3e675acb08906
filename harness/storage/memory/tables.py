"""Everything that one memory store holds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from harness.models import ACTIVE, Pruned
from harness.storage.memory.clock import Clock
from harness.storage.memory.rows import (
    AssistantRow,
    CronRow,
    ItemRow,
    RunRow,
    StateRow,
    ThreadRow,
    VersionRow,
)
from harness.storage.memory.table import Table
from harness.storage.requests import Keeping


class Beside(Protocol):
    """What lies beside the tables and follows them: LangGraph's checkpoints, if there are any."""

    def thread_ids(self) -> Iterable[str]:
        """Return every thread that it knows, also those that are in no table."""

    def remove(self, thread_id: str) -> None:
        """Forget a thread."""

    def prune(self, thread_id: str, keeping: Keeping, now: datetime) -> Pruned:
        """Shorten a thread's histories, by the rule of `harness.storage.retention`."""


class Tables:
    """Seven tables and a clock, and the cascades between the tables."""

    def __init__(self) -> None:
        self.clock: Final = Clock()
        self.assistants: Final = Table[AssistantRow](
            lambda row: row.assistant_id, owner=lambda row: row.owner
        )
        self.assistant_versions: Final = Table[VersionRow](
            lambda row: (row.assistant_id, row.version), assistant=lambda row: row.assistant_id
        )
        self.threads: Final = Table[ThreadRow](
            lambda row: row.thread_id, owner=lambda row: row.owner
        )
        self.thread_states: Final = Table[StateRow](
            lambda row: (row.thread_id, row.checkpoint_id), thread=lambda row: row.thread_id
        )
        self.runs: Final = Table[RunRow](
            lambda row: row.run_id,
            owner=lambda row: row.owner,
            thread=lambda row: row.thread_id,
            active=lambda row: row.thread_id if row.status in ACTIVE else None,
            lease=lambda row: row.lease_token,
        )
        self.store_items: Final = Table[ItemRow](
            lambda row: (row.owner, row.namespace, row.key), owner=lambda row: row.owner
        )
        self.crons: Final = Table[CronRow](
            lambda row: row.cron_id,
            owner=lambda row: row.owner,
            assistant=lambda row: row.assistant_id,
            thread=lambda row: row.thread_id,
        )

        self.kept: set[str] = set()
        """Tokens of leases that do not end, since this process executes their runs."""
        self.beside: Final[list[Beside]] = []
        """Told of each thread that is deleted or pruned from now on, as a trigger would be."""

    def thread(self, thread_id: str | None) -> ThreadRow | None:
        """Return a thread that has not expired."""
        row = None if thread_id is None else self.threads.get(thread_id)
        return None if row is None or self.has_expired(row) else row

    def has_expired(self, row: ThreadRow) -> bool:
        """Tell whether a thread's time is over, swept or not."""
        return row.expires_at is not None and row.expires_at <= self.clock.now()

    def remove_assistant(self, row: AssistantRow) -> None:
        """Delete an assistant with its versions and crons."""
        for version in self.assistant_versions.group("assistant", row.assistant_id):
            self.assistant_versions.remove(version)
        for cron in self.crons.group("assistant", row.assistant_id):
            self.crons.remove(cron)
        self.assistants.remove(row)

    def remove_thread(self, row: ThreadRow) -> None:
        """Delete a thread with its states, runs and crons."""
        for state in self.thread_states.group("thread", row.thread_id):
            self.thread_states.remove(state)
        for run in self.runs.group("thread", row.thread_id):
            self.runs.remove(run)
        for cron in self.crons.group("thread", row.thread_id):
            self.crons.remove(cron)
        self.threads.remove(row)
        for beside in self.beside:
            beside.remove(row.thread_id)
