"""How crons fire, in Postgres: each due date once, however many processes look for it."""

from datetime import UTC, datetime
from typing import Any, Final

from harness.database import Database
from harness.models import Cron, CronFiring, Run
from harness.storage.postgres.lifetimes import ttl_parameters
from harness.storage.postgres.records import Values, cron, rows_of, run
from harness.storage.postgres.sql import load
from harness.storage.requests import TimeToLive
from harness.storage.resources.ownership import new_id
from harness.storage.schedule import next_firing

SQL: Final = load("crons")
_CRON_COLUMNS: Final = 13


class PostgresFiring:
    """Carries out the requests of schedulers on crons."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due(
        self, *, limit: int, owner: str | None, thread_ttl: TimeToLive | None
    ) -> list[CronFiring]:
        """Fire the crons that are due, those longest due first."""
        parameters: dict[str, Any] = {"limit": limit}
        if owner is not None:
            parameters["owner"] = owner
        due = await self._database.read(
            SQL["due"] if owner is None else SQL["due_of_owner"],
            parameters,
            row_factory=rows_of(cron),
        )
        firings = [await self._fire(one, thread_ttl) for one in due]
        return [firing for firing in firings if firing is not None]

    async def _fire(self, due: Cron, thread_ttl: TimeToLive | None) -> CronFiring | None:
        """Make a due cron's run and move its date on; None if somebody else has."""
        assert due.next_run_date is not None  # noqa: S101 -- `due` selects by it
        following = next_firing(
            due.schedule, due.timezone, after=self._now(), end_time=due.end_time
        )
        rows = await self._database.write(
            SQL["fire"],
            {
                **seen_parameters(due),
                "id": due.cron_id,
                "thread_id": due.thread_id,
                "seen_next_run_date": due.next_run_date,
                "next_run_date": following,
                "new_thread_id": new_id(),
                **ttl_parameters(thread_ttl),
                "run_id": new_id(),
            },
            row_factory=rows_of(_fired),
        )
        for fired, made in rows:
            return CronFiring(cron=fired, scheduled_for=due.next_run_date, run=made)
        return None

    def _now(self) -> datetime:
        """Return the database's time."""
        return datetime.now(UTC) + self._database.clock_offset


def seen_parameters(seen: Cron) -> dict[str, Any]:
    """Return what a cron's next date was computed from, for the fragment `unchanged`."""
    return {
        "seen_schedule": seen.schedule,
        "seen_timezone": seen.timezone,
        "seen_end_time": seen.end_time,
    }


def _fired(row: Values) -> tuple[Cron, Run]:
    return cron(row[:_CRON_COLUMNS]), run(row[_CRON_COLUMNS:])
