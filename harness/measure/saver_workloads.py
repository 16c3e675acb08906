"""The workloads of savers: what is done with threads of one turn each, whoever does it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from harness.errors import ResultsError
from harness.measure.conversations import Conversation, Planted, Threads, check
from harness.measure.turns import Get, Player, Put, Turn, Write, rows_of

CALLS: Final = ("put", "writes", "get", "list")

_Act = Callable[[Player, str, int], Awaitable[object]]
"""Calls a saver once, on a thread, in a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaverWorkload:
    """Something to do with a number of threads; `run` returns how many rows it added."""

    name: str
    operations: int
    """Calls of a saver in one sample."""
    threads: int
    """How many it needs."""
    run: Callable[[Planted], Awaitable[Counter[str]]]


class SaverCase:
    """One subject doing one workload (a `harness.measure.paired.Case`)."""

    def __init__(self, threads: Threads, workload: SaverWorkload) -> None:
        self._threads, self._workload = threads, workload
        self._planted: Planted | None = None
        self._before: Counter[str] = Counter()
        self._added: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Plant, and count."""
        self._planted = await self._threads.plant()
        self._before = await self._threads.rows()

    async def run(self) -> None:
        """Do the work."""
        if self._planted is None:
            raise ResultsError("the case was not prepared")
        self._added = await self._workload.run(self._planted)

    async def verify(self) -> None:
        """Check that it was done."""
        await check(self._threads, self._before, self._added)


def conversation(turn: Turn, turns: int) -> SaverWorkload:
    """Return some turns of one conversation, call after call."""
    operations = turns * len(turn.calls)

    async def run(planted: Planted) -> Counter[str]:
        one = Conversation(planted.player, turn, planted.ids[0])
        for _ in range(operations):
            await one.go_on()
        return one.added

    return SaverWorkload(name="conversation", operations=operations, threads=1, run=run)


def one_by_one(turn: Turn, call: str, repeats: int) -> SaverWorkload:
    """Return one of `CALLS`, repeated on one thread."""
    act, rows = _act(turn, call)

    async def run(planted: Planted) -> Counter[str]:
        for number in range(1, repeats + 1):
            await act(planted.player, planted.ids[0], number)
        return _times(rows, repeats)

    return SaverWorkload(name=call, operations=repeats, threads=1, run=run)


def at_once(turn: Turn, call: str, threads: int) -> SaverWorkload:
    """Return one of `CALLS`, once on each of many threads, all at the same time."""
    act, rows = _act(turn, call)

    async def run(planted: Planted) -> Counter[str]:
        await asyncio.gather(*(act(planted.player, thread_id, 1) for thread_id in planted.ids))
        return _times(rows, threads)

    return SaverWorkload(name=f"{call}_at_once", operations=threads, threads=threads, run=run)


def _act(turn: Turn, call: str) -> tuple[_Act, Counter[str]]:
    """Return what carries a call out, and the rows that it adds."""
    if call == "list":

        async def newest(player: Player, thread: str, _number: int) -> None:
            found = await player.newest(thread, turn.puts)
            if found != turn.puts:
                raise ResultsError(f"{turn.puts} checkpoints were there, and {found} were listed")

        return newest, Counter()
    kind: type[Get | Put | Write] = {"put": Put, "writes": Write, "get": Get}[call]
    place = max(
        (place for place, one in enumerate(turn.calls) if isinstance(one, kind)),
        key=lambda place: rows_of(turn.calls[place]).total(),
    )

    async def step(player: Player, thread: str, number: int) -> None:
        found = await player.steps[place](thread, number)
        if kind is Get and found is None:
            raise ResultsError(f"{thread} has checkpoints, and none was found")

    return step, rows_of(turn.calls[place])


def _times(rows: Counter[str], factor: int) -> Counter[str]:
    return Counter({table: factor * number for table, number in rows.items()})
