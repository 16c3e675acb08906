"""The saver on a shared pool: what it relies on, many callers at once, and connections that die."""

import ast
import asyncio
import hashlib
import inspect
import textwrap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointMetadata, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import ERROR
from langgraph.graph import START, MessagesState, StateGraph
from psycopg import AsyncConnection

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded
from harness.faults.proxy import Proxy
from harness.measure.gauge import Gauge, read
from harness.persistence import PooledSaver, setup_langgraph
from harness.persistence.direct import LARGE_BYTES

pytestmark = pytest.mark.postgres

TASKS = 50
POOL = 10
VERSION = "00000000000000000000000000000001.0"
METADATA: CheckpointMetadata = {"source": "loop", "step": 1, "parents": {}}


@pytest.fixture
async def saver(database: Database) -> PooledSaver:
    """Return a saver on a database of this test."""
    await setup_langgraph(database)
    return PooledSaver(database)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """Stand in front of a database that has been set up."""
    async with Database(DatabaseConfig(url=database_url)) as near:
        await setup_langgraph(near)
    async with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy) -> AsyncIterator[PooledSaver]:
    """Return a saver that reaches its database through the proxy."""
    config = DatabaseConfig(url=proxy.url, pool_min_size=2, pool_max_size=2, pool_timeout_s=5)
    async with Database(config) as database:
        yield PooledSaver(database)


def of(thread_id: str) -> RunnableConfig:
    """Return the config of a thread's newest checkpoint."""
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


async def put(saver: AsyncPostgresSaver, thread_id: str) -> RunnableConfig:
    """Put a checkpoint that has a blob."""
    checkpoint = empty_checkpoint()
    checkpoint["id"] = str(uuid6())
    checkpoint["channel_values"] = {"words": ["hello"]}
    checkpoint["channel_versions"] = {"words": VERSION}
    return await saver.aput(of(thread_id), checkpoint, METADATA, {"words": VERSION})


async def rows(url: str, table: str, thread_id: str) -> int:
    """Count a thread's rows, past every saver."""
    async with await AsyncConnection.connect(url) as connection:
        query = psycopg.sql.SQL("SELECT count(*) FROM {} WHERE thread_id = %s")
        cursor = await connection.execute(query.format(psycopg.sql.Identifier(table)), (thread_id,))
        [count] = await cursor.fetchone() or (0,)
        return int(count)


def methods() -> dict[str, ast.AST]:
    """Return the source of the stock saver, by method."""
    [stock] = ast.parse(textwrap.dedent(inspect.getsource(AsyncPostgresSaver))).body
    assert isinstance(stock, ast.ClassDef)
    return {
        node.name: node
        for node in stock.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def who_uses(attribute: str) -> set[str]:
    """Return the stock saver's methods that use an attribute of theirs."""
    return {
        name
        for name, method in methods().items()
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) == ("self", attribute)
    }


class TestWhatItReliesOn:
    """Facts of langgraph-checkpoint-postgres that the saver is built on."""

    def test_cursor_has_the_signature_that_is_overridden(self) -> None:
        """`_cursor(*, pipeline=False)`, a context manager that yields a cursor."""
        signature = inspect.signature(AsyncPostgresSaver._cursor)
        assert list(signature.parameters) == ["self", "pipeline"]
        assert signature.parameters["pipeline"].default is False
        assert signature.parameters["pipeline"].kind is inspect.Parameter.KEYWORD_ONLY

    def test_cursor_is_the_one_that_was_read(self) -> None:
        """Its source is 3.2.0's; where this fails, compare it with `PooledSaver._cursor` anew."""
        source = inspect.getsource(AsyncPostgresSaver._cursor)
        assert hashlib.sha256(source.encode()).hexdigest() == CURSOR_SHA256

    @pytest.mark.parametrize("attribute", ["lock", "conn"])
    def test_nothing_else_takes_the_lock_or_a_connection(self, attribute: str) -> None:
        """Only `_cursor` does, so that overriding it is enough."""
        assert who_uses(attribute) == {"__init__", "_cursor"}

    def test_each_use_of_the_database_is_known(self) -> None:
        """What opens a cursor is what this saver retries, or has written anew."""
        reads = {"aget_tuple", "alist", "aget_delta_channel_history"}
        writes = {"aput", "aput_writes", "adelete_thread", "aprune"}
        assert who_uses("_cursor") == reads | writes | {"setup"}

    def test_what_is_written_anew_is_what_was_read(self) -> None:
        """What `DirectSaver` replaces is 3.2.0's; where this fails, compare the two anew."""
        sources = [inspect.getsource(getattr(AsyncPostgresSaver, name)) for name in REPLACED]
        text = "".join([*sources, *(getattr(AsyncPostgresSaver, name) for name in STATEMENTS)])
        assert hashlib.sha256(text.encode()).hexdigest() == REPLACED_SHA256


class TestOneStatement:
    """Writes, and the values in them."""

    async def test_a_write_is_one_statement(self, proxy: Proxy, far: PooledSaver) -> None:
        """So it is one transaction and one round trip, blobs included; a read is one, too."""
        config = await put(far, "t")
        before = len(proxy.executed)
        await put(far, "t")
        await far.aput_writes(config, [("words", 1), ("more", [2])], "task")
        await far.aput_writes(config, [(ERROR, "a"), (ERROR, "b")], "task")
        assert await far.aget_tuple(of("t")) is not None
        assert len(proxy.executed) - before == 4
        found = await far.aget_tuple(config)
        assert found is not None
        assert found.pending_writes == [
            ("task", ERROR, "b"),
            ("task", "words", 1),
            ("task", "more", [2]),
        ]

    async def test_large_values_are_whole(self, saver: PooledSaver) -> None:
        """What is serialised in a thread, once its channel is known to be large, reads the same."""
        for number in range(3):
            config = of("t")
            checkpoint = empty_checkpoint()
            checkpoint["id"] = str(uuid6())
            version = saver.get_next_version(None if not number else VERSION, None)
            values = {"words": [f"{number}" * (2 * LARGE_BYTES)]}
            checkpoint["channel_values"] = dict(values)
            checkpoint["channel_versions"] = {"words": version}
            put_at = await saver.aput(config, checkpoint, METADATA, {"words": version})
            await saver.aput_writes(put_at, [("words", values["words"])], "task")
            found = await saver.aget_tuple(of("t"))
            assert found is not None
            assert found.checkpoint["channel_values"] == values
            assert found.pending_writes == [("task", "words", values["words"])]


class TestManyAtOnce:
    """One saver under concurrent callers."""

    @pytest.mark.invariant(48)
    @pytest.mark.parametrize(("stock", "peak"), [(False, POOL), (True, 1)], ids=["ours", "stock"])
    async def test_fifty_tasks_use_the_whole_pool(
        self, database: Database, saver: PooledSaver, stock: bool, peak: int
    ) -> None:
        """Connections in use reach the pool's size; the stock saver never uses a second one."""
        await database.pool.resize(POOL, POOL)
        await database.pool.wait()
        subject = AsyncPostgresSaver(database.pool) if stock else saver
        gauge = Gauge()
        begin = perf_counter()

        async def task(number: int) -> None:
            for _ in range(4):
                config = await put(subject, f"t{number}")
                await subject.aput_writes(config, [("words", number)], "task")
                found = await subject.aget_tuple(of(f"t{number}"))
                assert found is not None
                assert found.pending_writes == [("task", "words", number)]

        with gauge.watch(database.pool):
            await asyncio.gather(*map(task, range(TASKS)))
        reading = read(gauge.checkouts(), pool_size=POOL, start_s=begin, end_s=perf_counter())
        assert reading.peak_in_use == peak

    async def test_it_is_called_while_it_is_iterated(self, database_url: str) -> None:
        """The body of an `alist` loop reads, writes and iterates, on a pool of one connection."""
        config = DatabaseConfig(
            url=database_url, pool_min_size=1, pool_max_size=1, pool_timeout_s=2
        )
        async with Database(config) as database:
            await setup_langgraph(database)
            saver = PooledSaver(database)
            for _ in range(3):
                await put(saver, "t")
            seen = 0
            async for found in saver.alist(of("t")):
                assert await saver.aget_tuple(found.config) == found
                await put(saver, "t")
                seen += 1
                assert len([one async for one in saver.alist(of("t"))]) == 3 + seen
            assert seen == 3

    async def test_a_loop_that_is_left_holds_no_connection(
        self, database: Database, saver: PooledSaver
    ) -> None:
        """Whoever breaks out of `alist` leaves nothing taken behind."""
        for _ in range(2):
            await put(saver, "t")
        loop = saver.alist(of("t"))
        assert await anext(loop)
        stats = database.pool.get_stats()
        assert stats["pool_available"] == stats["pool_size"]

    async def test_a_full_pool_is_one_clear_error(self, database_url: str) -> None:
        """Past the pool's timeout a caller hears `Overloaded`."""
        config = DatabaseConfig(
            url=database_url, pool_min_size=1, pool_max_size=1, pool_timeout_s=0.1
        )
        async with Database(config) as database:
            saver = PooledSaver(database)
            async with database.connection():
                with pytest.raises(Overloaded):
                    await saver.aget_tuple(of("t"))

    async def test_cancelled_callers_cost_no_connection(
        self, database: Database, saver: PooledSaver
    ) -> None:
        """After a storm of cancellations the pool serves as many as before."""
        for round_ in range(20):
            tasks = [asyncio.create_task(put(saver, f"t{n}")) for n in range(TASKS)]
            for _ in range(round_):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(60):
            await asyncio.gather(*(put(saver, f"t{n}") for n in range(TASKS)))
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            for _ in range(database.config.pool_max_size):
                await stack.enter_async_context(database.connection())


class TestDeaths:
    """Connections that die, before, in and between calls."""

    async def test_it_recovers_at_once_after_every_connection_died(
        self, database: Database, database_url: str, saver: PooledSaver
    ) -> None:
        """Callers right after the death of all connections notice nothing."""
        await asyncio.gather(*(put(saver, f"t{n}") for n in range(TASKS)))
        async with await AsyncConnection.connect(database_url, autocommit=True) as killer:
            await killer.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        began = perf_counter()
        await asyncio.gather(*(put(saver, f"t{n}") for n in range(TASKS)))
        assert perf_counter() - began < database.config.pool_timeout_s / 2
        assert len([one async for one in saver.alist(of("t0"))]) == 2

    async def test_a_read_whose_connection_dies_is_tried_once_more(
        self, proxy: Proxy, far: PooledSaver
    ) -> None:
        """Each read gets through one death, and says clearly when there is another."""
        config = await put(far, "t")
        proxy.cut("before", "from checkpoints")
        assert await far.aget_tuple(of("t")) is not None
        proxy.cut("before", "from checkpoints")
        assert [found.config async for found in far.alist(of("t"))] == [config]
        proxy.cut("before", "from checkpoints")
        assert await far.aget_delta_channel_history(config=config, channels=["words"])
        assert proxy.cuts == 3
        proxy.cut("before", "from checkpoints", times=2)
        with pytest.raises(DatabaseUnavailable, match="two connections"):
            await far.aget_tuple(of("t"))
        assert await far.aget_tuple(of("t")) is not None

    @pytest.mark.parametrize(("moment", "stored"), [("before", 0), ("after", 1)])
    async def test_a_write_whose_connection_dies_is_not_repeated(
        self, proxy: Proxy, far: PooledSaver, database_url: str, moment: Any, stored: int
    ) -> None:
        """The outcome is unknown to the caller; it was sent once at most, and all or nothing."""
        proxy.cut(moment, "INSERT INTO checkpoints")
        with pytest.raises(OutcomeUnknown):
            await put(far, "t")
        assert proxy.executions("INSERT INTO checkpoints") == stored
        for table in ("checkpoints", "checkpoint_blobs"):
            assert await rows(database_url, table, "t") == stored

    async def test_a_put_that_is_killed_between_its_statements_leaves_nothing(
        self, database_url: str, saver: PooledSaver
    ) -> None:
        """Blobs are stored with their checkpoint or not at all."""
        config = await put(saver, "other")
        checkpoint = empty_checkpoint()
        checkpoint["id"] = str(uuid6())
        checkpoint["channel_values"] = {"words": ["half"]}
        async with (
            await AsyncConnection.connect(database_url) as holder,
            await AsyncConnection.connect(database_url, autocommit=True) as killer,
        ):
            # The blob goes in, and the checkpoint waits for this uncommitted row of the same id.
            await holder.execute(
                "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) "
                "VALUES ('t', %s, '{}')",
                (checkpoint["id"],),
            )
            putting = asyncio.create_task(
                saver.aput(of("t"), checkpoint, METADATA, {"words": VERSION})
            )
            killed = None
            while killed is None:
                cursor = await killer.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                killed = await cursor.fetchone()
            await holder.rollback()
            with pytest.raises(OutcomeUnknown):
                await putting
        assert await rows(database_url, "checkpoint_blobs", "t") == 0
        assert await saver.aget_tuple(config) is not None


class TestConversations:
    """A graph that LangGraph runs on the saver."""

    async def test_a_conversation_goes_on_with_another_saver(self, database_url: str) -> None:
        """What one saver stored, one with connections of its own carries on; the state is whole."""

        async def reply(state: MessagesState) -> dict[str, list[AnyMessage]]:
            return {"messages": [AIMessage(f"{len(state['messages'])} so far")]}

        builder = StateGraph(MessagesState)
        builder.add_node("reply", reply)
        builder.add_edge(START, "reply")
        async with Database(DatabaseConfig(url=database_url)) as database:
            await setup_langgraph(database)
        thread: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
        for turn in range(3):
            async with PooledSaver.from_conn_string(database_url) as saver:
                graph = builder.compile(checkpointer=saver)
                await graph.ainvoke({"messages": [HumanMessage(f"turn {turn}")]}, thread)
        async with PooledSaver.from_conn_string(database_url) as saver:
            state = await builder.compile(checkpointer=saver).aget_state(thread)
        assert [message.text for message in state.values["messages"]] == [
            *("turn 0", "1 so far", "turn 1", "3 so far", "turn 2", "5 so far")
        ]


CURSOR_SHA256 = "217e0ac4b09b8778932a99010dabf9f3add7b103e06c39b23606d52523a25bc3"
"""Of langgraph-checkpoint-postgres 3.2.0."""
REPLACED = (
    "aget_tuple",
    "aput",
    "aput_writes",
    "adelete_thread",
    "_load_checkpoint_tuple",
    "_dump_blobs",
    "_dump_writes",
    "_load_blobs",
    "_load_writes",
)
STATEMENTS = (
    "SELECT_SQL",
    "UPSERT_CHECKPOINT_BLOBS_SQL",
    "UPSERT_CHECKPOINTS_SQL",
    "UPSERT_CHECKPOINT_WRITES_SQL",
    "INSERT_CHECKPOINT_WRITES_SQL",
)
REPLACED_SHA256 = "1b41be4b0d96d329dbc5768e6f1c876e6b7269305187107b6e059e05e165b920"
"""Of langgraph-checkpoint-postgres 3.2.0."""
