"""Inserts rows whose ids a caller may have chosen: the rule of ids that are taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from psycopg import Rollback
from psycopg.errors import UniqueViolation
from psycopg.rows import scalar_row

from harness.database import Database
from harness.models import IfExists
from harness.storage.postgres.codec import dumps, utc
from harness.storage.postgres.records import Values, rows_of
from harness.storage.postgres.refusals import MAX_ATTEMPTS, key_of, restless, taken
from harness.storage.postgres.sql import Blocks


class New(Protocol):
    """A request that says what to do when its id is taken."""

    @property
    def if_exists(self) -> IfExists:
        """`raise`, or `do_nothing` when the row is the caller's own."""


NewT = TypeVar("NewT", bound=New)
RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserting(Generic[NewT, RecordT]):
    """How the rows of one resource are inserted.

    A record is made of its request and the time of insertion: the request is in canonical form, so
    that what the database would give back is known.
    """

    database: Database
    blocks: Blocks
    """With `insert`, `insert_or_get`, `insert_many`, `insert_missing` and `get_many`; and with
    `bury` where rows expire, to remove those that have so that their ids are free."""
    kind: str
    identify: Callable[[NewT], str]
    columns: Callable[[NewT], dict[str, Any]]
    """The columns of a new row, without its owner; JSON as Python's."""
    record: Callable[[NewT, datetime], RecordT]
    read: Callable[[Values], RecordT]
    """Makes a record of the `columns` fragment's values."""

    async def insert(self, news: Sequence[NewT], *, owner: str) -> list[RecordT]:
        """Insert all or none, and return the records in the order of the requests.

        Raises:
            Conflict: An id is taken; with `do_nothing` only when by another owner.
        """
        if len(news) > 1:
            return await self._insert_many(news, owner)
        [new] = news
        if new.if_exists == "do_nothing":
            return [await self._insert_or_get(new, owner)]
        parameters = {**_as_parameters(self.columns(new)), "owner": owner}
        made_at = await self._made_at("insert", parameters, [self.identify(new)])
        return [self.record(new, made_at)]

    async def _made_at(
        self, statement: str, parameters: Mapping[str, Any], ids: Sequence[str]
    ) -> datetime:
        """Insert what has free ids, and ids of rows that have expired; return when.

        Raises:
            Conflict: An id is taken.
        """
        try:
            [made_at] = await self.database.write(
                self.blocks[statement], parameters, row_factory=scalar_row
            )
        except UniqueViolation as exc:
            again = await self._after_burial(statement, parameters, ids)
            if again is None:
                raise taken(self.kind, key_of(exc)) from exc
            made_at = again
        return utc(made_at)

    async def _after_burial(
        self, statement: str, parameters: Mapping[str, Any], ids: Sequence[str]
    ) -> datetime | None:
        """Remove the rows that have expired and insert; None if there are none of these."""
        if "bury" not in self.blocks:
            return None
        try:
            async with self.database.transaction() as connection:
                cursor = connection.cursor(row_factory=scalar_row)
                await cursor.execute(self.blocks["bury"], {"ids": list(ids)})
                if not await cursor.fetchall():
                    return None
                await cursor.execute(self.blocks[statement], parameters)
                [made_at] = await cursor.fetchall()
        except UniqueViolation as exc:
            raise taken(self.kind, key_of(exc)) from exc
        return made_at  # type: ignore[no-any-return]  # the statement returns a time

    async def _insert_or_get(self, new: NewT, owner: str) -> RecordT:
        parameters = {**_as_parameters(self.columns(new)), "owner": owner}
        for _ in range(MAX_ATTEMPTS):
            rows = await self.database.write(
                self.blocks["insert_or_get"], parameters, row_factory=rows_of(self._with_owner)
            )
            for record, _, row_owner in rows:
                if row_owner != owner:
                    raise taken(self.kind, self.identify(new))
                return record
            if "bury" in self.blocks:
                await self.database.write(self.blocks["bury"], {"ids": [self.identify(new)]})
        raise restless(self.kind, self.identify(new))

    async def _insert_many(self, news: Sequence[NewT], owner: str) -> list[RecordT]:
        first: dict[str, NewT] = {}
        for new in news:
            if first.setdefault(self.identify(new), new) is not new and new.if_exists == "raise":
                raise taken(self.kind, self.identify(new))
        # In the order of ids, so that two bulks that meet do not wait for each other.
        rows = dumps([self.columns(first[identity]) for identity in sorted(first)])
        if any(new.if_exists == "do_nothing" for new in first.values()):
            records = await self._insert_missing(first, rows, owner)
        else:
            made_at = await self._made_at(
                "insert_many", {"rows": rows, "owner": owner}, list(first)
            )
            records = {key: self.record(new, made_at) for key, new in first.items()}
        return [records[self.identify(new)] for new in news]

    async def _insert_missing(
        self, first: Mapping[str, NewT], rows: str, owner: str
    ) -> dict[str, RecordT]:
        for _ in range(MAX_ATTEMPTS):
            records: dict[str, RecordT] = {}
            async with self.database.transaction() as connection:
                cursor = connection.cursor(row_factory=scalar_row)
                if "bury" in self.blocks:
                    await cursor.execute(self.blocks["bury"], {"ids": list(first)})
                await cursor.execute(self.blocks["insert_missing"], {"rows": rows, "owner": owner})
                made = set(await cursor.fetchall())
                for key in first.keys() - made:
                    if first[key].if_exists == "raise":
                        raise taken(self.kind, key)
                # A second statement has a newer snapshot, which shows who took an id meanwhile.
                reader = connection.cursor(row_factory=rows_of(self._with_owner))
                await reader.execute(self.blocks["get_many"], {"ids": list(first)})
                for record, key, row_owner in await reader.fetchall():
                    if row_owner != owner:
                        raise taken(self.kind, key)
                    records[key] = record
                if len(records) < len(first):  # deleted in between
                    raise Rollback
            if len(records) == len(first):
                return records
        raise restless(self.kind, "of this batch")

    def _with_owner(self, row: Values) -> tuple[RecordT, str, str]:
        return self.read(row), row[0], row[-1]


def _as_parameters(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: dumps(value) if isinstance(value, dict) else value for name, value in columns.items()
    }
