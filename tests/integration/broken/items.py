"""Faults of items: promises 15 to 18, 20, 21 and 23."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the engine's

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from harness.errors import InvalidInput
from harness.models import Item
from harness.storage.memory.items import MemoryItems
from harness.storage.memory.jsonb import matches
from harness.storage.requests import ItemQuery, NewItem
from harness.storage.resources.items import Items
from tests.integration.broken.fault import Fault, of_engine, of_face


class NamespacesAreJoined(MemoryItems):
    """The labels of a namespace are one text in the store."""

    def _live(self, owner: str, namespace: tuple[str, ...], key: str, now: Any) -> Any:
        for row in self._tables.store_items.group("owner", owner):
            if "".join(row.namespace) == "".join(namespace) and row.key == key:
                return row
        return super()._live(owner, namespace, key, now)


class PercentIsAWildcard(MemoryItems):
    """A prefix is matched as a pattern of LIKE."""

    def _matching(self, query: ItemQuery, owner: str, now: Any) -> list[Any]:
        everything = super()._matching(replace(query, prefix=()), owner, now)
        pattern = "/".join(query.prefix).replace("%", "*").replace("_", "?")
        return [row for row in everything if fnmatchcase("/".join(row.namespace), f"{pattern}*")]


class WholeFloatsBecomeIntegers(MemoryItems):
    """`1.0` comes back as `1`."""

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        narrowed = [
            replace(
                row,
                value=json.loads(
                    json.dumps(row.value),
                    parse_float=lambda text: (
                        int(float(text)) if text.endswith(".0") else float(text)
                    ),
                ),
            )
            for row in rows
        ]
        await super().put(narrowed, owner=owner)


class ValuesAreShared(MemoryItems):
    """What is read is the stored object itself."""

    async def get(self, namespace: Any, key: str, *, refresh_ttl: bool, owner: str) -> Item | None:
        item = await super().get(namespace, key, refresh_ttl=refresh_ttl, owner=owner)
        row = self._tables.store_items.get((owner, namespace, key))
        return item if item is None or row is None else replace(item, value=row.value)


class NanBecomesNull(Items):
    """A number that JSON does not have is quietly replaced."""

    async def put_item(self, namespace: Any, /, key: str, value: Any, **given: Any) -> None:
        if isinstance(value, dict):
            value = json.loads(json.dumps(value, default=str).replace("NaN", "null"))
        await super().put_item(namespace, key, value, **given)


class WritesBeforeChecking(Items):
    """The address is written before the value is found bad."""

    async def put_item(self, namespace: Any, /, key: str, value: Any, **given: Any) -> None:
        await super().put_item(namespace, key, {"x": None}, **given)
        await super().put_item(namespace, key, value, **given)


class OverwritingResetsCreatedAt(MemoryItems):
    """An overwritten item is a new one."""

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        for row in rows:
            await self.delete(row.namespace, row.key, owner=owner)
        await super().put(rows, owner=owner)


class OverwritingKeepsTheTtl(MemoryItems):
    """The time to live of the first put holds for all later ones."""

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        olds = [self._tables.store_items.get((owner, row.namespace, row.key)) for row in rows]
        await super().put(
            [
                row if old is None else replace(row, ttl_minutes=old.ttl_minutes)
                for row, old in zip(rows, olds, strict=True)
            ],
            owner=owner,
        )


class BatchesFailTogether(Items):
    """Concurrent puts travel in one batch, and what is wrong with one is wrong with all."""

    _bad = False

    async def put_item(self, *address: Any, **given: Any) -> None:
        await asyncio.sleep(0)
        try:
            await super().put_item(*address, **given)
        except InvalidInput:
            self._bad = True
        await asyncio.sleep(0)
        if self._bad:
            raise InvalidInput


class BulksAreHalfDone(Items):
    """A bulk puts its rows one after another, up to the bad one."""

    async def put_many(self, rows: Any, *, owner: str) -> None:
        for row in rows:
            await super().put_many([row], owner=owner)


class TtlIsIgnored(MemoryItems):
    """Nothing ever expires."""

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        await super().put([replace(row, ttl_minutes=None) for row in rows], owner=owner)


class TtlIsWholeMinutes(MemoryItems):
    """Less than a minute is rounded up to one."""

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        rounded = [
            row if row.ttl_minutes is None else replace(row, ttl_minutes=max(1.0, row.ttl_minutes))
            for row in rows
        ]
        await super().put(rounded, owner=owner)


class ReadingDoesNotRenew(MemoryItems):
    """Items die however often they are read."""

    def _refresh(self, rows: Any, owner: str, now: Any) -> None:
        """Leave the rows alone."""


class ExpiredItemsAreCounted(MemoryItems):
    """An item that has expired is counted until it is swept."""

    async def count(self, query: ItemQuery, *, owner: str) -> int:
        long_ago = self._tables.clock.now() - timedelta(days=36_500)
        return len(self._matching(query, owner, long_ago))


class ReadingCreates(MemoryItems):
    """The namespace that was looked in is there afterwards."""

    async def get(self, namespace: Any, key: str, *, refresh_ttl: bool, owner: str) -> Item | None:
        item = await super().get(namespace, key, refresh_ttl=refresh_ttl, owner=owner)
        if item is None:
            await self.put(
                [NewItem(namespace=namespace, key="", value={}, ttl_minutes=None)], owner=owner
            )
        return item


class NumbersAreTexts(MemoryItems):
    """Filters compare what numbers look like."""

    def _matching(self, query: ItemQuery, owner: str, now: Any) -> list[Any]:
        rows = super()._matching(replace(query, conditions=()), owner, now)
        return [
            row
            for row in rows
            if all(
                matches(
                    {key: str(value) for key, value in row.value.items()},
                    replace(one, operand=str(one.operand)),
                )
                for one in query.conditions
            )
        ]


class MissingIsNeverUnequal(MemoryItems):
    """`$ne` leaves out what does not have the key, as SQL's `<>` does with NULL."""

    def _matching(self, query: ItemQuery, owner: str, now: Any) -> list[Any]:
        return [
            row
            for row in super()._matching(query, owner, now)
            if all(one.operator != "$ne" or one.path[0] in row.value for one in query.conditions)
        ]


FAULTS: Final[Sequence[Fault]] = (
    of_engine(15, items=NamespacesAreJoined),
    of_engine(15, items=PercentIsAWildcard),
    of_engine(16, items=WholeFloatsBecomeIntegers),
    of_engine(16, items=ValuesAreShared),
    of_face(17, items=NanBecomesNull),
    of_face(17, items=WritesBeforeChecking),
    of_engine(18, items=OverwritingResetsCreatedAt),
    of_engine(18, items=OverwritingKeepsTheTtl),
    of_face(20, items=BatchesFailTogether),
    of_face(20, items=BulksAreHalfDone),
    of_engine(21, items=TtlIsIgnored),
    of_engine(21, items=TtlIsWholeMinutes),
    of_engine(21, items=ReadingDoesNotRenew),
    of_engine(21, items=ExpiredItemsAreCounted),
    of_engine(23, items=ReadingCreates),
    of_engine(23, items=NumbersAreTexts),
    of_engine(23, items=MissingIsNeverUnequal),
)
