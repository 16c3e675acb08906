"""Faults of runs and crons: promises 26, 27, 33, 35, 36 and 58."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the engine's

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from harness.models import ClaimedRun, Cron, CronFiring, Lease, Run
from harness.storage.memory.crons import MemoryCrons
from harness.storage.memory.rows import RunRow
from harness.storage.memory.runs import MemoryRuns
from harness.storage.memory.transitions import active_runs, end_run
from harness.storage.requests import NewCron, NewRun, StatusChange
from tests.integration.broken.fault import Fault, of_engine


class TerminalStatusesChange(MemoryRuns):
    """A run that was cancelled may still succeed."""

    async def update_status(
        self, thread_id: str, run_id: str, change: StatusChange, *, owner: str
    ) -> Run:
        run = self._tables.runs.get(run_id)
        if run is not None and run.status == "interrupted" and change.status == "success":
            end_run(self._tables, run, change, self._tables.clock.now())
        return await super().update_status(thread_id, run_id, change, owner=owner)


class StaleLeasesAreGood(MemoryRuns):
    """Whoever once had a run may go on writing it."""

    def _leased(self, lease: Lease, owner: str) -> RunRow:
        run = self._tables.runs.get(lease.run_id)
        if run is not None and run.owner == owner and run.lease_token is not None:
            return run
        return super()._leased(lease, owner)


class CancelAndFinishBothWin(MemoryRuns):
    """Whether the run is still running is looked up some time before it is ended."""

    async def finish(self, lease: Lease, change: StatusChange, *, owner: str) -> Run:
        run = self._leased(lease, owner)
        await asyncio.sleep(0)
        end_run(self._tables, run, change, self._tables.clock.now())
        return await self.get(lease.thread_id, lease.run_id, owner=owner)


class RejectLooksFirst(MemoryRuns):
    """Whether the thread is free is found out before, not in, the insert."""

    async def insert(self, rows: Sequence[NewRun], *, owner: str) -> list[Run]:
        free = not any(active_runs(self._tables, row.thread_id) for row in rows)
        await asyncio.sleep(0)
        if free:
            rows = [replace(row, multitask_strategy="enqueue") for row in rows]
        return await super().insert(rows, owner=owner)


class RejectOverlooksPendingRuns(MemoryRuns):
    """Only a running run makes a thread busy to `reject`."""

    async def insert(self, rows: Sequence[NewRun], *, owner: str) -> list[Run]:
        idle = [
            replace(row, multitask_strategy="enqueue")
            if all(run.status == "pending" for run in active_runs(self._tables, row.thread_id))
            else row
            for row in rows
        ]
        return await super().insert(idle, owner=owner)


class OneOwnerIsAlwaysFirst(MemoryRuns):
    """Whoever comes first by name is served as long as they have anything queued."""

    async def claim(
        self, *, lease_s: float, owner: str | None, full: Collection[str]
    ) -> ClaimedRun | None:
        self._after = ""
        return await super().claim(lease_s=lease_s, owner=owner, full=full)


class NobodyIsPassedOver(MemoryRuns):
    """Whoever has all the runs that they may have gets another."""

    async def claim(
        self, *, lease_s: float, owner: str | None, full: Collection[str]
    ) -> ClaimedRun | None:
        return await super().claim(lease_s=lease_s, owner=owner, full=())


class ThreadIdIsRequired(MemoryCrons):
    """The seed's BUG-PG-001: a cron without a thread cannot be listed."""

    async def search(self, *asked: Any, **given: Any) -> list[Cron]:
        found = await super().search(*asked, **given)
        if any(cron.thread_id is None for cron in found):
            raise TypeError("thread_id: Input should be a valid string")
        return found


class ThreadIdBecomesText(MemoryCrons):
    """A thread that is none comes back as a text."""

    async def insert(self, rows: Sequence[NewCron], *, owner: str) -> list[Cron]:
        created = await super().insert(rows, owner=owner)
        return [replace(one, thread_id=str(one.thread_id)) for one in created]


class DueDatesDoNotAdvance(MemoryCrons):
    """A cron that has fired is as due as before."""

    def _fire(self, row: Any, scheduled_for: Any, following: Any, *rest: Any) -> CronFiring:
        return super()._fire(row, scheduled_for, scheduled_for, *rest)


class MissedDatesAreMadeUpFor(MemoryCrons):
    """The next date follows the last one, not the present."""

    def _fire(self, row: Any, scheduled_for: Any, following: Any, *rest: Any) -> CronFiring:
        return super()._fire(row, scheduled_for, scheduled_for + timedelta(minutes=1), *rest)


class EndTimeBreaksTheScheduler(MemoryCrons):
    """The official server's defect: one cron with an end stops all."""

    async def claim_due(self, **asked: Any) -> list[CronFiring]:
        if any(row.end_time is not None for row in self._tables.crons):
            raise TypeError("can't compare offset-naive and offset-aware datetimes")
        return await super().claim_due(**asked)


class SchedulersFireTwice(MemoryCrons):
    """What is due is read some time before it is marked as fired."""

    async def claim_due(self, **asked: Any) -> list[CronFiring]:
        due = {row: row.next_run_date for row in self._tables.crons}
        await asyncio.sleep(0)
        for row, date in due.items():
            self._tables.crons.change(row, next_run_date=date)
        return await super().claim_due(**asked)


class WeekdaysBeginOnMonday(MemoryCrons):
    """Weekday 0 is Monday, as in other calendars."""

    async def insert(self, rows: Sequence[NewCron], *, owner: str) -> list[Cron]:
        created = await super().insert(rows, owner=owner)
        return [
            replace(one, next_run_date=one.next_run_date + timedelta(days=1))
            if one.next_run_date is not None and not one.schedule.endswith("*")
            else one
            for one in created
        ]


class TimezonesAreIgnored(MemoryCrons):
    """All crons fire by UTC."""

    async def insert(self, rows: Sequence[NewCron], *, owner: str) -> list[Cron]:
        return await super().insert([replace(row, timezone=None) for row in rows], owner=owner)


FAULTS: Final[Sequence[Fault]] = (
    of_engine(26, runs=TerminalStatusesChange),
    of_engine(26, runs=StaleLeasesAreGood),
    of_engine(26, runs=CancelAndFinishBothWin),
    of_engine(27, runs=RejectLooksFirst),
    of_engine(27, runs=RejectOverlooksPendingRuns),
    of_engine(33, crons=ThreadIdIsRequired),
    of_engine(33, crons=ThreadIdBecomesText),
    of_engine(35, crons=DueDatesDoNotAdvance),
    of_engine(35, crons=MissedDatesAreMadeUpFor),
    of_engine(35, crons=EndTimeBreaksTheScheduler),
    of_engine(35, crons=SchedulersFireTwice),
    of_engine(36, crons=WeekdaysBeginOnMonday),
    of_engine(36, crons=TimezonesAreIgnored),
    of_engine(58, runs=OneOwnerIsAlwaysFirst),
    of_engine(58, runs=NobodyIsPassedOver),
)
