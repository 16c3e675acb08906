"""Random histories of crons."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.contract.stateful.core import TwoSides
from harness.contract.stateful.strategies import (
    ASSISTANTS,
    CRONS,
    OBJECTS,
    OWNERS,
    PATTERNS,
    THREADS,
    Id,
    optional,
    pages,
)

# Once a year: both sides, a moment apart, name the same next date.
_SCHEDULES = st.sampled_from(
    ["0 0 1 1 *", "30 4 1 7 *", "0 0 29 2 *", "0 12 1 3 * 15", "0 0 30 2 *", "never"]
)
_ZONES = st.sampled_from([None, "Europe/Berlin", "UTC", "Mars/Olympus"])
_ENDS = st.sampled_from(
    [
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2199, 1, 1, tzinfo=UTC),
        datetime(2199, 1, 1),  # noqa: DTZ001 -- without a zone, to be refused
    ]
)
_COMPLETED = st.sampled_from(["delete", "keep"])
_PAYLOADS = st.one_of(OBJECTS, st.sampled_from([{"metadata": {"a": 1}}, {"metadata": 1}]))
_NEW = optional(
    thread_id=THREADS,
    payload=_PAYLOADS,
    metadata=OBJECTS,
    timezone=_ZONES,
    end_time=_ENDS,
    enabled=st.booleans(),
    on_run_completed=_COMPLETED,
)
_CHANGE = optional(
    schedule=_SCHEDULES,
    timezone=_ZONES,
    payload=_PAYLOADS,
    metadata=OBJECTS,
    end_time=st.none() | _ENDS,
    enabled=st.booleans(),
    on_run_completed=_COMPLETED,
)
_FILTERS = optional(
    assistant_id=ASSISTANTS, thread_id=THREADS, enabled=st.booleans(), metadata=PATTERNS
)
_DUE = {"next_run_date": datetime(2021, 2, 3, 4, 5, tzinfo=UTC)}


class CronRules(TwoSides):
    """Crons, created, changed, fired, searched and removed."""

    @rule(assistant_id=ASSISTANTS, schedule=_SCHEDULES, cron_id=CRONS, given=_NEW, owner=OWNERS)
    def create_cron(self, given: dict[str, Any], **arguments: Any) -> None:
        """Create one."""
        self.same("crons.create", **arguments, **given)

    @rule(assistant_id=ASSISTANTS, ids=st.lists(CRONS, max_size=3), owner=OWNERS)
    def create_crons(self, assistant_id: Id, ids: list[Id], owner: str) -> None:
        """Create some or none."""
        rows: list[Any] = [
            {"assistant_id": assistant_id, "schedule": "0 0 1 1 *", "cron_id": one} for one in ids
        ]
        self.same("crons.create_many", rows, owner=owner)

    @rule(cron_id=CRONS, owner=OWNERS)
    def get_cron(self, **arguments: Any) -> None:
        """Read one."""
        self.same("crons.get", **arguments)

    @rule(cron_id=CRONS, owner=OWNERS, change=_CHANGE)
    def update_cron(self, change: dict[str, Any], **arguments: Any) -> None:
        """Change one."""
        self.same("crons.update", **arguments, **change)

    @rule(
        query=_FILTERS,
        page=pages(
            "cron_id",
            "assistant_id",
            "thread_id",
            "created_at",
            "updated_at",
            "next_run_date",
            "end_time",
        ),
        owner=OWNERS,
    )
    def search_crons(self, query: dict[str, Any], page: dict[str, Any], owner: str) -> None:
        """Find and count."""
        self.same("crons.search", **query, **page, owner=owner)
        self.same("crons.count", **query, owner=owner)

    @rule(cron_id=CRONS, owner=OWNERS)
    def delete_cron(self, **arguments: Any) -> None:
        """Remove one."""
        self.same("crons.delete", **arguments)

    @rule(cron_id=CRONS)
    def come_due(self, cron_id: Id) -> None:
        """Let a cron's date be past."""
        self.behind("update", "crons", _DUE, cron_id=cron_id)

    @rule(owner=st.none() | OWNERS)
    def fire(self, owner: str | None) -> None:
        """Fire the cron that is longest due, if one is; its thread and run get names."""
        # One at a time: the order of ids that several firings get is each backend's own.
        answers = self.call("crons.claim_due", limit=1, owner=owner)
        if answers is None:
            return
        for model, subject in zip(*answers, strict=False):
            if model.cron.thread_id is None:
                self.bind("fired-thread", (model.run.thread_id, subject.run.thread_id))
            self.bind("fired-run", (model.run.run_id, subject.run.run_id))
        self.expect_same("crons.claim_due", answers)
