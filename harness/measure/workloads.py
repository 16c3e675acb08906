"""The workloads: what is done with the rows of a resource, whoever does it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from harness.measure.calls import Call, Calls
from harness.measure.rows import TAGGED, Resource, Table

WORKERS: Final = 20
PAGE: Final = 10
REPEATS: Final = 20
"""How often one sample of a search, a count or a history read repeats it."""

Effect = Literal["creates", "changes", "deletes", "reads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Something to do with rows of one table.

    `run` returns how many rows its reads have found, which must be `expected`.
    """

    name: str
    table: Table
    operations: int
    """Calls, or rows of a bulk call, in one sample."""
    effect: Effect
    planted: int
    """Rows that are there before."""
    expected: int
    run: Callable[[Calls], Awaitable[int]]

    @property
    def resource(self) -> Resource:
        """The resource that the table belongs to."""
        return "threads" if self.table == "states" else self.table

    @property
    def left(self) -> int:
        """Rows that are there afterwards."""
        if self.effect == "creates":
            return self.planted + self.operations
        return self.planted - (self.operations if self.effect == "deletes" else 0)


def creates(resource: Resource, size: int) -> list[Workload]:
    """Return the four ways of creating `size` rows."""

    async def sequential(calls: Calls) -> int:
        return await _one_by_one(calls.create, range(size))

    async def workers(calls: Calls) -> int:
        numbers = iter(range(size))
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(_one_by_one(calls.create, numbers))
        return 0

    async def at_once(calls: Calls) -> int:
        await asyncio.gather(*(calls.create(n) for n in range(size)))
        return 0

    async def many(calls: Calls) -> int:
        await calls.create_many(size)
        return 0

    ways = {
        "create_sequential": sequential,
        "create_20_workers": workers,
        "create_at_once": at_once,
        "create_many": many,
    }
    return [
        Workload(
            name=name,
            table=resource,
            operations=size,
            effect="creates",
            planted=0,
            expected=0,
            run=run,
        )
        for name, run in ways.items()
    ]


def single_rows(resource: Resource, size: int) -> list[Workload]:
    """Return get, update, delete, search and count, on `size` rows."""

    def each(name: str, effect: Effect, call: Callable[[Calls], Call]) -> Workload:
        return Workload(
            name=name,
            table=resource,
            operations=size,
            effect=effect,
            planted=size,
            expected=0,
            run=lambda calls: _one_by_one(call(calls), range(size)),
        )

    return [
        _gets("get", resource, size),
        each("update", "changes", lambda calls: calls.update),
        each("delete", "deletes", lambda calls: calls.delete),
        _repeated("count", resource, size, min(size, TAGGED), lambda calls: calls.count()),
    ]


def listing(resource: Resource, rows: int) -> list[Workload]:
    """Return listing all of `rows` rows, which one call can return."""
    return [
        Workload(
            name=f"list_{rows}",
            table=resource,
            operations=1,
            effect="reads",
            planted=rows,
            expected=rows,
            run=lambda calls: calls.newest(rows),
        )
    ]


def searches(resource: Resource, rows: int) -> list[Workload]:
    """Return the searches that find 10 among `rows` rows: the newest, and those with a tag."""
    return [
        _repeated(
            f"newest_10_of_{rows}",
            resource,
            rows,
            min(rows, PAGE),
            lambda calls: calls.newest(PAGE),
        ),
        _repeated(
            f"search_10_of_{rows}",
            resource,
            rows,
            min(rows, TAGGED),
            lambda calls: calls.search(),
        ),
    ]


def states(size: int) -> list[Workload]:
    """Return storing `size` snapshots on one thread, and reading its head and its history."""
    return [
        Workload(
            name="add_state",
            table="states",
            operations=size,
            effect="creates",
            planted=0,
            expected=0,
            run=lambda calls: _one_by_one(calls.create, range(size)),
        ),
        _gets("get_state", "states", size),
        _repeated("get_history", "states", size, min(size, PAGE), lambda calls: calls.newest(PAGE)),
    ]


def _gets(name: str, table: Table, size: int) -> Workload:
    async def run(calls: Calls) -> int:
        found = 0
        for n in range(size):
            found += await calls.get(n) is not None
        return found

    return Workload(
        name=name,
        table=table,
        operations=size,
        effect="reads",
        planted=size,
        expected=size,
        run=run,
    )


def _repeated(
    name: str, table: Table, rows: int, found: int, call: Callable[[Calls], Awaitable[int]]
) -> Workload:
    async def run(calls: Calls) -> int:
        return sum([await call(calls) for _ in range(REPEATS)])

    return Workload(
        name=name,
        table=table,
        operations=REPEATS,
        effect="reads",
        planted=rows,
        expected=REPEATS * found,
        run=run,
    )


async def _one_by_one(call: Call, numbers: Iterable[int]) -> int:
    for n in numbers:
        await call(n)
    return 0
