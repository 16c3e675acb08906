"""Where savers are measured: threads that are planted alike for all, and counted afterwards."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args
from uuid import uuid4

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import sql

from harness.database import Database
from harness.errors import ResultsError
from harness.measure.floors.checkpoints import play_floor
from harness.measure.footprint import copy_whole, settle
from harness.measure.turns import Call, Get, Player, Put, Step, Turn, Write, rows_of
from harness.persistence import PooledSaver, setup_langgraph
from harness.schema import CHECKPOINT_TABLES

Saver: TypeAlias = BaseCheckpointSaver[Any]
OnPostgres = Literal["ours", "stock", "floor"]
ON_POSTGRES: Final[tuple[OnPostgres, ...]] = get_args(OnPostgres)
"""This project's saver, LangGraph's own, and the statements of ours through bare psycopg."""
_MODEL: Final = "model"
"""The thread that the planted ones are copies of."""
_BALLAST: Final = 200
"""Threads that lie there besides, so that the planner never takes the tables for tiny."""


class Threads(Protocol):
    """A number of threads of one turn each, which a subject carries on."""

    @property
    def turn(self) -> Turn:
        """What they are carried on with."""

    async def plant(self) -> "Planted":
        """Plant new ones, and get the subject ready to play."""

    async def rows(self) -> Counter[str]:
        """Count the rows of those that were planted last, by table."""


@dataclass(frozen=True, slots=True)
class Planted:
    """New threads, and a subject that is ready to carry them on."""

    player: Player
    ids: tuple[str, ...]


class MemoryThreads:
    """Threads in an `InMemorySaver`, a new one each time."""

    def __init__(self, turn: Turn, count: int) -> None:
        self.turn = turn
        self._ids = tuple(f"thread-{number}" for number in range(count))
        self._saver = InMemorySaver()

    async def plant(self) -> Planted:
        """Store turn 0 of each thread."""
        self._saver = InMemorySaver()
        player = play_saver(self._saver, self.turn)
        for thread_id in self._ids:
            for step in player.steps:
                await step(thread_id, 0)
        return Planted(player, self._ids)

    async def rows(self) -> Counter[str]:
        """Count the checkpoints, which is all that memory has in common with the tables."""
        return Counter(checkpoints=len([one async for one in self._saver.alist(None)]))


class PostgresThreads:
    """Threads in the tables of a scratch database, under new ids each time.

    They are added to what lies there, as in a server's life. (After a TRUNCATE every connection
    would plan all of its statements anew, in the timed part.)

    Args:
        database: A database that is `prepared`; its pool is what every subject works on.
        turn: What is stored and read.
        subject: Who does it.
        count: How many threads.
    """

    def __init__(self, database: Database, turn: Turn, subject: OnPostgres, count: int) -> None:
        self.turn, self.database = turn, database
        self.subject: OnPostgres = subject
        self._count = count
        self._ids: tuple[str, ...] = ()

    async def plant(self) -> Planted:
        """Copy turn 0 for each thread."""
        self._ids = tuple(str(uuid4()) for _ in range(self._count))
        await copy_whole(self.database, _MODEL, self._ids)
        return Planted(self._player(), self._ids)

    async def rows(self) -> Counter[str]:
        """Count with plain SQL."""
        found: Counter[str] = Counter()
        for table in CHECKPOINT_TABLES:
            counting = sql.SQL("SELECT count(*) AS count FROM {} WHERE thread_id = ANY(%s)")
            query = counting.format(sql.Identifier(table))
            [row] = await self.database.read(query, [list(self._ids)])
            found[table] = row["count"]
        return found

    def _player(self) -> Player:
        match self.subject:
            case "ours":
                return play_saver(PooledSaver(self.database), self.turn)
            case "stock":
                return play_saver(AsyncPostgresSaver(self.database.pool), self.turn)
            case "floor":
                return play_floor(self.database.pool, self.turn)


async def prepare(database: Database, turn: Turn) -> None:
    """Make LangGraph's tables; its own saver stores turn 0 of the thread that is copied."""
    await setup_langgraph(database)
    for step in play_saver(AsyncPostgresSaver(database.pool), turn).steps:
        await step(_MODEL, 0)
    await copy_whole(database, _MODEL, [str(uuid4()) for _ in range(_BALLAST)])
    await settle(database)


def play_saver(saver: Saver, turn: Turn) -> Player:
    """Return a player of a turn that calls a saver as LangGraph's loop does."""

    def step(call: Call) -> Step:
        match call:
            case Get():
                return lambda thread, _: saver.aget_tuple(turn.config(thread))
            case Put():
                return lambda thread, number: saver.aput(
                    turn.config(thread, turn.number(call.place, number) - 1),
                    turn.checkpoint(call, number),
                    call.metadata,
                    turn.new_versions(call, number),
                )
            case Write():
                return lambda thread, number: saver.aput_writes(
                    turn.config(thread, turn.number(call.place, number)),
                    call.writes,
                    call.task_id,
                    call.task_path,
                )

    async def newest(thread: str, limit: int) -> int:
        return len([one async for one in saver.alist(turn.config(thread), limit=limit)])

    return Player(steps=tuple(map(step, turn.calls)), newest=newest)


class Conversation:
    """One thread that is carried on, call after call and turn after turn, for ever.

    Args:
        player: Who does it.
        turn: What is called.
        thread: Where; its turn 0 is there.
        place: With which of the turn's calls to begin, so that many don't all do the same.
    """

    def __init__(self, player: Player, turn: Turn, thread: str, *, place: int = 0) -> None:
        self._player, self._turn, self._thread = player, turn, thread
        self._number, self._place = 1, place % len(turn.calls)
        self.added: Counter[str] = Counter()
        """Rows that were acknowledged, by table."""

    async def go_on(self) -> None:
        """Carry out the next call.

        Raises:
            ResultsError: A get has found nothing.
        """
        place = self._place
        found = await self._player.steps[place](self._thread, self._number)
        call = self._turn.calls[place]
        if isinstance(call, Get) and found is None:
            raise ResultsError(f"{self._thread} has checkpoints, and none was found")
        self.added.update(rows_of(call))
        self._place = (place + 1) % len(self._turn.calls)
        self._number += not self._place


async def check(threads: Threads, before: Counter[str], added: Counter[str]) -> None:
    """Count the rows again.

    Raises:
        ResultsError: Something that was acknowledged is not there, or something else is.
    """
    there = await threads.rows()
    wrong = [
        f"{there[table] - before[table]} of {added[table]} {table}"
        for table in there
        if there[table] - before[table] != added[table]
    ]
    if wrong:
        raise ResultsError(f"rows that were acknowledged are not there: {', '.join(wrong)} are")
