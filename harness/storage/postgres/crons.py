"""Crons, in Postgres; how they fire is in `firing.py`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, get_args

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import scalar_row, tuple_row

from harness.errors import HarnessError, NotFound
from harness.models import SYSTEM, Cron
from harness.storage.interface import CronSortBy
from harness.storage.postgres.codec import dumps, utc
from harness.storage.postgres.firing import PostgresFiring, seen_parameters
from harness.storage.postgres.records import cron, rows_of
from harness.storage.postgres.refusals import MAX_ATTEMPTS, read_only, refusal, restless, taken
from harness.storage.postgres.searching import Searching, given, order_of, page_parameters
from harness.storage.postgres.sql import load
from harness.storage.requests import CronChange, CronQuery, NewCron, Page
from harness.storage.schedule import next_firing

SQL: Final = load("crons")
SEARCHING: Final = Searching(SQL, get_args(CronSortBy), ["cron_id"])
_CRONS: Final = rows_of(cron)


class PostgresCrons(PostgresFiring):
    """Carries out requests on crons."""

    async def insert(self, rows: Sequence[NewCron], *, owner: str) -> list[Cron]:
        """Insert all or none."""
        now = self._now()
        columns = [_columns(new, now) for new in rows]
        made_at = await self._insert(rows, columns, owner)
        return [
            _record(new, made_at, column["next_run_date"])
            for new, column in zip(rows, columns, strict=True)
        ]

    async def get(self, cron_id: str, *, owner: str) -> Cron:
        """Return a cron."""
        rows = await self._database.read(
            SQL["get"], {"id": cron_id, "owner": owner}, row_factory=_CRONS
        )
        if not rows:
            raise NotFound.of("cron", cron_id)
        return rows[0]

    async def update(self, cron_id: str, change: CronChange, *, owner: str) -> Cron:
        """Change a cron, and its next date where that depends on the change."""
        parameters = {
            "id": cron_id,
            "owner": owner,
            "payload": None if change.payload is None else dumps(change.payload),
            "on_run_completed": change.on_run_completed,
            "metadata": dumps(change.metadata),
        }
        for _ in range(MAX_ATTEMPTS):
            if _reschedules(change):
                rows = await self._reschedule(cron_id, change, parameters, owner)
            else:
                rows = await self._database.write(SQL["update"], parameters, row_factory=_CRONS)
                if not rows:
                    raise await refusal(
                        self._database, SQL["owner_of"], "cron", cron_id, owner=owner
                    )
            if rows:
                return rows[0]
        raise restless("cron", cron_id)

    async def search(self, query: CronQuery, page: Page, *, owner: str) -> list[Cron]:
        """Return a page of the crons that match."""
        conditions, parameters = _given(query)
        return await self._database.read(
            SEARCHING.search(conditions, order_of(page)),
            {**parameters, **page_parameters(page), "owner": owner},
            row_factory=_CRONS,
        )

    async def count(self, query: CronQuery, *, owner: str) -> int:
        """Count the crons that match."""
        conditions, parameters = _given(query)
        [number] = await self._database.read(
            SEARCHING.count(conditions), {**parameters, "owner": owner}, row_factory=scalar_row
        )
        return int(number)

    async def delete(self, cron_id: str, *, owner: str) -> None:
        """Remove a cron."""
        if not await self._database.write(SQL["delete"], {"id": cron_id, "owner": owner}):
            raise await refusal(self._database, SQL["owner_of"], "cron", cron_id, owner=owner)

    async def _insert(
        self, news: Sequence[NewCron], columns: Sequence[dict[str, Any]], owner: str
    ) -> datetime:
        """Insert all or none with one statement; look closer only if it inserts none."""
        statement, parameters = _one(columns[0]) if len(news) == 1 else _many(columns)
        for _ in range(MAX_ATTEMPTS):
            try:
                made_at = await self._database.write(
                    SQL[statement], {**parameters, "owner": owner}, row_factory=scalar_row
                )
            except (ForeignKeyViolation, UniqueViolation):
                made_at = []  # what it refers to was deleted in between, or an id is taken
            if made_at:
                return utc(made_at[0])
            await self._check(news, owner)
        raise restless("cron", news[0].cron_id if len(news) == 1 else "of this batch")

    async def _check(self, news: Sequence[NewCron], owner: str) -> None:
        """Refuse the first cron that cannot be inserted, as if they came one after another."""
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            assistants = {"ids": [new.assistant_id for new in news], "owner": owner}
            await cursor.execute(SQL["visible_assistants"], assistants)
            visible = {assistant_id for (assistant_id,) in await cursor.fetchall()}
            thread_ids = [new.thread_id for new in news if new.thread_id is not None]
            await cursor.execute(SQL["thread_owners"], {"ids": thread_ids})
            owners: dict[str, str] = dict(await cursor.fetchall())
            await cursor.execute(SQL["taken"], {"ids": [new.cron_id for new in news]})
            used = {cron_id for (cron_id,) in await cursor.fetchall()}
        for new in news:
            refused = _refused(new, owners, visible, owner)
            if refused is not None:
                raise refused
            if new.cron_id in used:
                raise taken("cron", new.cron_id)
            used.add(new.cron_id)

    async def _reschedule(
        self, cron_id: str, change: CronChange, parameters: dict[str, Any], owner: str
    ) -> list[Cron]:
        """Change a cron with its next date; return nothing if it changed since it was read."""
        seen = await self.get(cron_id, owner=owner)
        if (seen.metadata.get("owner")) != owner:
            raise await refusal(self._database, SQL["owner_of"], "cron", cron_id, owner=owner)
        end_time = None if change.clear_end_time else change.end_time or seen.end_time
        schedule = change.schedule or seen.schedule
        timezone = change.timezone or seen.timezone
        following = next_firing(schedule, timezone, after=self._now(), end_time=end_time)
        return await self._database.write(
            SQL["reschedule"],
            {
                **parameters,
                **seen_parameters(seen),
                "schedule": schedule,
                "timezone": timezone,
                "end_time": end_time,
                "enabled": change.enabled,
                "next_run_date": following,
            },
            row_factory=_CRONS,
        )


def _refused(
    new: NewCron, owners: dict[str, str], visible: set[str], owner: str
) -> HarnessError | None:
    if new.thread_id is not None and owners.get(new.thread_id) != owner:
        if owners.get(new.thread_id) == SYSTEM:
            return read_only("thread", new.thread_id)
        return NotFound.of("thread", new.thread_id)
    if new.assistant_id not in visible:
        return NotFound.of("assistant", new.assistant_id)
    return None


def _reschedules(change: CronChange) -> bool:
    given_ones = (change.schedule, change.timezone, change.end_time, change.enabled)
    return change.clear_end_time or any(one is not None for one in given_ones)


def _given(query: CronQuery) -> tuple[tuple[str, ...], dict[str, Any]]:
    return given(
        assistant_id=query.assistant_id,
        thread_id=query.thread_id,
        enabled=query.enabled,
        metadata=query.metadata,
    )


def _columns(new: NewCron, now: datetime) -> dict[str, Any]:
    return {
        "cron_id": new.cron_id,
        "assistant_id": new.assistant_id,
        "thread_id": new.thread_id,
        "schedule": new.schedule,
        "timezone": new.timezone,
        "payload": new.payload,
        "on_run_completed": new.on_run_completed,
        "end_time": new.end_time,
        "enabled": new.enabled,
        "next_run_date": next_firing(new.schedule, new.timezone, after=now, end_time=new.end_time),
        "metadata": new.metadata,
    }


def _one(column: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the statement that inserts a row, and its parameters but for the owner."""
    encoded = {name: dumps(column[name]) for name in ("payload", "metadata")}
    return "insert", {**column, **encoded}


def _many(columns: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Return the statement that inserts rows, and its parameters but for the owner."""
    return "insert_many", {
        "rows": dumps(sorted(columns, key=lambda column: str(column["cron_id"]))),
        "assistant_ids": list({column["assistant_id"] for column in columns}),
        "thread_ids": list({column["thread_id"] for column in columns} - {None}),
    }


def _record(new: NewCron, made_at: datetime, next_run_date: datetime | None) -> Cron:
    return Cron(
        cron_id=new.cron_id,
        assistant_id=new.assistant_id,
        thread_id=new.thread_id,
        schedule=new.schedule,
        timezone=new.timezone,
        payload=new.payload,
        on_run_completed=new.on_run_completed,
        end_time=new.end_time,
        enabled=new.enabled,
        next_run_date=next_run_date,
        metadata=new.metadata,
        created_at=made_at,
        updated_at=made_at,
    )
