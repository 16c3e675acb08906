"""Our saver stores the very rows that LangGraph's does, in one statement a call."""

import asyncio
import inspect
import re
import threading
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any, Final, get_args

import psycopg
import pytest
import pytest_asyncio
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME, _DeltaSnapshot
from psycopg import sql

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.persistence import PooledSaver, direct, setup_langgraph
from harness.persistence.direct import LARGE_BYTES, MOST_VALUES
from harness.storage.postgres.sql import Blocks

pytestmark = pytest.mark.postgres

TEXT: Final = Path(direct.__file__).with_name("checkpoints.sql").read_text()

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
MANY = MOST_VALUES + 3
VALUES: dict[str, dict[str, Any]] = {
    "none": {},
    "inline": {"text": "a", "number": 1, "fraction": 0.5, "flag": True, "nothing": None},
    "messages": {"messages": [HumanMessage("hi", id="1")], "words": ["a"], "text": ""},
    "snapshot": {"snapshot": _DeltaSnapshot(["a", "b"]), "words": []},
    "few": {f"c{n}": [n] for n in range(MOST_VALUES)},
    "many": {f"c{n}": [n] for n in range(MANY)},
    "large": {"large": "x" * LARGE_BYTES, "words": ["x" * LARGE_BYTES]},
}
WRITES: dict[str, list[tuple[str, Any]]] = {
    "none": [],
    "task": [("words", ["a"]), ("branch:to:next", None)],
    "many": [(f"c{n}", n) for n in range(MANY)],
    "errors": [(ERROR, "first"), (ERROR, "second")],
    "special": [(INTERRUPT, ["a"]), (RESUME, 1)],
    "mixed": [("words", 1), (ERROR, "first"), (ERROR, "second")],
    "large": [("words", b"x" * LARGE_BYTES)],
}


class Listening(JsonPlusSerializer):
    """A serializer that notes in which threads it works."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self.reads = 0

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Note, and serialise."""
        self.threads.add(threading.get_ident())
        return super().dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Note, and read."""
        self.reads += 1
        self.threads.add(threading.get_ident())
        return super().loads_typed(data)

    def here(self) -> bool:
        """Whether all since the last time was done in this thread."""
        threads, self.threads = self.threads, set()
        return threads == {threading.get_ident()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prepared(scratch_databases: ScratchDatabases) -> AsyncIterator[Database]:
    """A database that has LangGraph's tables."""
    async with (
        scratch_databases.clone() as url,
        Database(DatabaseConfig.for_scratch(url), name="direct") as database,
    ):
        await setup_langgraph(database)
        yield database


@pytest.fixture
async def database(prepared: Database) -> Database:
    """The database, in which LangGraph's tables are empty."""
    async with prepared.transaction() as connection:
        for table in TABLES:
            await connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    return prepared


def of(thread_id: str, checkpoint_id: str | None = None) -> RunnableConfig:
    """Return the config of a checkpoint, by default of a thread's newest."""
    named = {} if checkpoint_id is None else {"checkpoint_id": checkpoint_id}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **named}}


async def put(
    saver: AsyncPostgresSaver, config: RunnableConfig, checkpoint_id: str, values: dict[str, Any]
) -> RunnableConfig:
    """Put a checkpoint of these values; one channel more has a new version and no value."""
    versions = dict.fromkeys([*values, "gone"], "1")
    checkpoint = empty_checkpoint()
    checkpoint["id"], checkpoint["ts"] = checkpoint_id, ""
    checkpoint["channel_values"], checkpoint["channel_versions"] = values, dict(versions)
    return await saver.aput(config, checkpoint, {"step": 1, "source": "loop"}, versions)  # type: ignore[arg-type]


async def rows(database: Database, thread_id: str) -> list[list[tuple[Any, ...]]]:
    """Return what the tables hold of a thread, but for its name."""
    found = []
    for table in TABLES:
        query = sql.SQL("SELECT * FROM {} WHERE thread_id = %s").format(sql.Identifier(table))
        of_thread = await database.read(sql.SQL("").join([query]), [thread_id])
        found.append(sorted((tuple(row.values())[1:] for row in of_thread), key=repr))
    return found


class TestRows:
    """What is stored, beside what the stock saver stores."""

    @pytest.mark.parametrize("kind", VALUES)
    async def test_a_put(self, database: Database, kind: str) -> None:
        """Checkpoints with parents, put twice, leave equal rows, and are read as equal."""
        ids = [str(uuid6()) for _ in range(2)]
        savers = {"ours": PooledSaver(database), "stock": AsyncPostgresSaver(database.pool)}
        for name, saver in savers.items():
            config = await put(saver, of(name), ids[0], {"words": ["before"]})
            assert config == of(name, ids[0])
            for step in (1, 2):
                changed = {**VALUES[kind], "step": step}
                assert await put(saver, config, ids[1], changed) == of(name, ids[1])
        assert await rows(database, "ours") == await rows(database, "stock")
        read = [await saver.aget_tuple(of("stock")) for saver in savers.values()]
        assert read[0] == read[1] is not None
        listed = [[one async for one in saver.alist(of("stock"))] for saver in savers.values()]
        assert listed[0] == listed[1]
        assert listed[0][1] == await savers["ours"].aget_tuple(of("stock", ids[0]))

    @pytest.mark.parametrize("kind", WRITES)
    async def test_writes(self, database: Database, kind: str) -> None:
        """Written twice, with other values the second time, they leave equal rows."""
        checkpoint_id = str(uuid6())
        for saver, name in (
            (PooledSaver(database), "ours"),
            (AsyncPostgresSaver(database.pool), "stock"),
        ):
            config = await put(saver, of(name), checkpoint_id, {})
            again = [(channel, [value]) for channel, value in WRITES[kind]]
            for given in (WRITES[kind], again):
                await saver.aput_writes(config, given, "task", "path")
        assert await rows(database, "ours") == await rows(database, "stock")

    async def test_a_checkpoint_of_an_old_format_is_migrated(self, database: Database) -> None:
        """What its parent sent is in it, as the stock saver reads it."""
        ours, stock = PooledSaver(database), AsyncPostgresSaver(database.pool)
        parent = await put(ours, of("t"), str(uuid6()), {})
        await ours.aput_writes(parent, [("__pregel_tasks", ["sent"])], "task")
        await put(ours, parent, str(uuid6()), {})
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{v}', '3')"
            )
        found = await ours.aget_tuple(of("t"))
        assert found == await stock.aget_tuple(of("t"))
        assert found is not None
        assert found.checkpoint["channel_values"]["__pregel_tasks"] == [["sent"]]

    async def test_a_deleted_thread_leaves_nothing_of_itself(self, database: Database) -> None:
        """And everything of the others."""
        saver = PooledSaver(database)
        for name in ("one", "other"):
            config = await put(saver, of(name), str(uuid6()), {"words": ["a"]})
            await saver.aput_writes(config, [("words", 1)], "task")
        await saver.adelete_thread("one")
        assert await rows(database, "one") == [[], [], []]
        assert [len(found) for found in await rows(database, "other")] == [1, 1, 1]


async def test_each_call_is_one_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it is whole or absent when it is cancelled, and takes one round trip."""
    sent: list[str] = []
    for name in ("execute", "executemany"):
        method = getattr(psycopg.AsyncCursor, name)

        async def listening(
            self: Any, query: Any, *args: Any, _method: Any = method, **kwargs: Any
        ) -> Any:
            sent.append(str(query))
            return await _method(self, query, *args, **kwargs)

        monkeypatch.setattr(psycopg.AsyncCursor, name, listening)
    saver = PooledSaver(database)
    for values in VALUES.values():
        sent.clear()
        config = await put(saver, of("t"), str(uuid6()), values)
        assert len(sent) == 1
    for writes in filter(None, WRITES.values()):
        sent.clear()
        await saver.aput_writes(config, writes, "task")
        assert len(sent) == 1
    for call in (saver.aget_tuple(config), saver.adelete_thread("t")):
        sent.clear()
        await call
        assert len(sent) == 1


async def test_what_is_large_is_serialised_and_read_in_a_thread(database: Database) -> None:
    """From a channel's second large value on; what is small stays where it is."""
    serde = Listening()
    saver = PooledSaver(database, serde=serde)
    small: dict[str, Any] = {"words": ["a"]}
    large: dict[str, Any] = {"words": ["x" * LARGE_BYTES]}
    stored_here = []
    for values in (small, large, large, small, small):
        config = await put(saver, of("t"), str(uuid6()), values)
        stored_here.append(serde.here())
    assert stored_here == [True, True, False, False, True]
    await saver.aput_writes(config, [("other", "x" * LARGE_BYTES)], "task")
    await saver.aput_writes(config, [("other", "x")], "another")
    serde.threads.clear()
    await saver.aget_tuple(config)
    assert not serde.here()
    await put(saver, of("t"), str(uuid6()), small)
    serde.threads.clear()
    await saver.aget_tuple(of("t"))
    assert serde.here()


async def test_others_go_on_while_a_long_list_is_read(database: Database) -> None:
    """Between two small checkpoints of a list the event loop does what else there is to do."""
    for _ in range(20):
        await put(PooledSaver(database), of("t"), str(uuid6()), {"words": ["a"]})
    serde = Listening()
    saver = PooledSaver(database, serde=serde)
    between: list[int] = []

    async def others() -> None:
        while not listing.done():
            between.append(serde.reads)
            serde.reads = 0
            await asyncio.sleep(0)

    async def whole() -> int:
        return len([one async for one in saver.alist(of("t"))])

    listing = asyncio.create_task(whole())
    await others()
    assert await listing == 20
    assert [reads for reads in between if reads] == 20 * [1]


class Asked(Blocks):
    """The blocks of the saver, and which of them it has asked for."""

    def __init__(self) -> None:
        super().__init__(TEXT)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)

    def render(self, name: str, **places: str) -> str:
        """Fill a template."""
        self.names.add(name)
        return super().render(name, **places)


def test_every_block_of_sql_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block of `checkpoints.sql` is left over: each makes a statement, or stands in a block."""
    asked = Asked()
    monkeypatch.setattr(direct, "SQL", asked)
    direct._statement.cache_clear()
    rows = {"put": None, "put_with_blobs": "blob", "write": "written", "rewrite": "written"}
    for place in (None, *get_args(direct.Place)):
        for (name, row), count in product(rows.items(), (1, MANY)):
            direct.statement(name, row, count, place)
    direct._statement.cache_clear()
    source = inspect.getsource(direct)
    named = {name for name in asked if f'SQL["{name}"]' in source or f'render("{name}"' in source}
    placed = set(re.findall(r"\{(\w+)\}", TEXT))
    assert set(asked) - asked.names - named - placed == set()
