"""Our LangGraph store: whose items it shows, what a batch does, and its work inside graphs."""

import asyncio
from collections.abc import AsyncIterator
from operator import add
from typing import Annotated, Any, TypedDict, cast

import pytest
from langgraph.config import get_store as store_of_this_run
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore, GetOp, ListNamespacesOp, MatchCondition, PutOp

from harness import runtime
from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import (
    AsyncOnly,
    DatabaseUnavailable,
    Forbidden,
    InvalidInput,
    NoOwner,
)
from harness.persistence import AgentStore, current_owner, owner_scope
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend
from harness.storage.probe import Probe

HOME = ("home",)
USERS = ("ada", "bob", "cy", "dee", "eve")


@pytest.fixture
def store(storage: FullStorage) -> AgentStore:
    """Return the store over each backend's storage."""
    return AgentStore(storage)


class TestOwner:
    """Whose items they are."""

    async def test_no_owner_no_items(self, store: AgentStore, probe: Probe) -> None:
        """Outside of a scope nothing is read or written, and the error says what to do."""
        with pytest.raises(NoOwner, match="owner_scope"):
            await store.aput(HOME, "k", {})
        with pytest.raises(NoOwner):
            await store.aget(HOME, "k")
        assert await probe.count("store_items") == 0

    async def test_what_an_agent_puts_is_what_items_shows(
        self, store: AgentStore, storage: FullStorage
    ) -> None:
        """One row, read through both, changed through both."""
        with owner_scope("ada"):
            await store.aput(HOME, "k", {"n": 1})
            item = await storage.items.get_item(HOME, "k", owner="ada")
            assert item is not None
            assert item.value == {"n": 1}
            await storage.items.put_item(HOME, "k", {"n": 2}, owner="ada")
            read = await store.aget(HOME, "k")
            assert read is not None
            assert (read.value, read.created_at) == ({"n": 2}, item.created_at)
            await store.adelete(HOME, "k")
        assert await storage.items.get_item(HOME, "k", owner="ada") is None

    async def test_owners_never_meet(self, store: AgentStore) -> None:
        """The same address is another item for everybody, in scopes within scopes and tasks."""

        async def live(owner: str) -> None:
            with owner_scope(owner):
                await store.aput(HOME, "k", {"of": owner})
                with owner_scope(f"{owner}'s child"):
                    assert await store.asearch(()) == []
                    assert await store.alist_namespaces() == []
                async with asyncio.TaskGroup() as tasks:
                    reading = tasks.create_task(store.asearch(()))
                assert [item.value for item in reading.result()] == [{"of": owner}]

        await asyncio.gather(*(live(f"{user}{n}") for user in USERS for n in range(4)))
        with pytest.raises(NoOwner):
            current_owner()

    async def test_systems_items_are_read_by_all(self, store: AgentStore) -> None:
        """What `system` owns is readable, and forbidden to delete."""
        with owner_scope("system"):
            await store.aput(HOME, "k", {"of": "system"})
        with owner_scope("ada"):
            assert len(await store.asearch(HOME)) == 1
            with pytest.raises(Forbidden):
                await store.adelete(HOME, "k")

    @pytest.mark.parametrize("owner", ["", "a\0b", None])
    def test_a_scope_needs_a_name(self, owner: Any) -> None:
        """What cannot own rows cannot be a scope's owner."""
        with pytest.raises(InvalidInput), owner_scope(owner):
            pass


class TestBatches:
    """What becomes of a batch with bad operations in it."""

    async def test_each_bad_operation_fails_alone(self, store: AgentStore) -> None:
        """The good ones are done; the first error is raised, and notes the others."""
        with owner_scope("ada"):
            with pytest.raises(InvalidInput, match="NUL") as caught:
                await store.abatch(
                    [
                        PutOp(HOME, "a", {"n": 1}),
                        PutOp(HOME, "b", {"n": "\0"}),
                        PutOp(("a.b",), "c", {}),
                        cast("Any", "no operation"),
                        PutOp(HOME, "d", {"n": 4}),
                    ]
                )
            assert {item.key for item in await store.asearch(HOME)} == {"a", "d"}
        notes = caught.value.__notes__
        assert len(notes) == 2
        assert "a.b" in notes[0]
        assert "not an operation" in notes[1]

    async def test_a_lost_database_ends_the_batch(self, database: Database) -> None:
        """Where the storage itself fails, its error is raised, before any refusal's."""
        store = AgentStore(LocalStorage(PostgresBackend(database)))
        await database.close()
        with owner_scope("ada"), pytest.raises(DatabaseUnavailable) as caught:
            await store.abatch(
                [PutOp(HOME, "b", {"n": "\0"}), GetOp(HOME, "a"), PutOp(("a.b",), "c", {})]
            )
        assert [("NUL" in note) for note in caught.value.__notes__] == [True]

    async def test_a_slow_call_holds_up_no_other(self, database: Database) -> None:
        """While one put waits for a locked row, other callers' batches go through."""
        store = AgentStore(LocalStorage(PostgresBackend(database)))
        with owner_scope("ada"):
            await store.aput(HOME, "locked", {"n": 1})
            async with database.transaction() as connection:
                await connection.execute("SELECT 1 FROM langgraph_server.store_items FOR UPDATE")
                waiting = asyncio.create_task(store.aput(HOME, "locked", {"n": 2}))
                await asyncio.gather(*(store.aput(HOME, f"k{n}", {}) for n in range(20)))
                assert len(await store.asearch(HOME, limit=100, refresh_ttl=False)) == 21
                assert not waiting.done()
            await waiting
            item = await store.aget(HOME, "locked")
        assert item is not None
        assert item.value == {"n": 2}

    async def test_an_unknown_condition_is_refused(self, store: AgentStore) -> None:
        """A namespace condition is on the prefix or the suffix."""
        condition = MatchCondition(cast("Any", "infix"), ("a",))
        with owner_scope("ada"), pytest.raises(InvalidInput, match="infix"):
            await store.abatch([ListNamespacesOp((condition,))])

    def test_synchronous_calls_are_refused(self) -> None:
        """The error names the calls to use instead."""
        store = AgentStore(LocalStorage(MemoryBackend()))
        with owner_scope("ada"), pytest.raises(AsyncOnly, match="aput"):
            store.put(HOME, "k", {})


class Facts(TypedDict):
    """What a run is told, and what it knows in the end."""

    told: str
    known: Annotated[list[str], add]


async def learn(state: Facts, runtime: Runtime[None]) -> dict[str, Any]:
    """Put what was said, through the injected runtime."""
    assert runtime.store is not None
    await runtime.store.aput(("facts",), state["told"], {"text": state["told"]})
    return {}


async def recall(state: Facts) -> dict[str, Any]:  # noqa: ARG001 -- a node takes it
    """Read all that is known, through LangGraph's `get_store()`."""
    items = await store_of_this_run().asearch(("facts",), limit=100)
    return {"known": sorted(item.value["text"] for item in items)}


def memory_graph(store: BaseStore) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return a graph that learns a fact and then tells all it knows."""
    graph = StateGraph(Facts)
    graph.add_node("learn", learn)
    graph.add_node("recall", recall)
    graph.add_edge(START, "learn")
    graph.add_edge("learn", "recall")
    graph.add_edge("recall", END)
    return graph.compile(store=store)


async def test_graphs_of_many_users_at_once(store: AgentStore) -> None:
    """Each user's runs know that user's facts of all runs, and nobody else's."""
    graph = memory_graph(store)

    async def run(user: str, number: int) -> list[str]:
        with owner_scope(user):
            told = {"told": f"{user}{number}", "known": []}
            known: list[str] = (await graph.ainvoke(told))["known"]
            return known

    during = await asyncio.gather(*(run(user, n) for n in range(6) for user in USERS))
    for (user, number), known in zip(
        ((user, n) for n in range(6) for user in USERS), during, strict=True
    ):
        assert f"{user}{number}" in known
        assert all(fact.startswith(user) for fact in known)
    after = await asyncio.gather(*(run(user, 6) for user in USERS))
    assert after == [[f"{user}{n}" for n in range(7)] for user in USERS]


async def test_a_graph_without_an_owner_fails(store: AgentStore, probe: Probe) -> None:
    """A run that nobody owns stores nothing."""
    with pytest.raises(NoOwner):
        await memory_graph(store).ainvoke({"told": "x", "known": []})
    assert await probe.count("store_items") == 0


class TestRuntime:
    """`get_store()` of the process."""

    @pytest.fixture(autouse=True)
    async def _fresh_runtime(self) -> AsyncIterator[None]:
        """Start and end without a database and without storage."""
        await runtime.shutdown_database()
        runtime.reset_storage()
        yield
        await runtime.shutdown_database()
        runtime.reset_storage()

    @pytest.fixture(params=["memory", "postgres"])
    def config(self, request: pytest.FixtureRequest) -> DatabaseConfig:
        """Return where to store."""
        if request.param == "memory":
            return DatabaseConfig(url=None)
        return DatabaseConfig(url=request.getfixturevalue("database_url"))

    async def test_it_is_there_while_initialized(self, config: DatabaseConfig) -> None:
        """None before, one store over `get_storage()` after, None again after shutting down."""
        assert runtime.get_store() is None
        await runtime.initialize_database(config)
        store = runtime.get_store()
        assert store is not None
        assert runtime.get_store() is store
        with owner_scope("ada"):
            await store.aput(HOME, "k", {"n": 1})
        item = await runtime.get_storage().items.get_item(HOME, "k", owner="ada")
        assert item is not None
        await runtime.shutdown_database()
        assert runtime.get_store() is None

    async def test_it_goes_with_the_storage(self) -> None:
        """After `reset_storage()` there is another, empty store."""
        await runtime.initialize_database(DatabaseConfig(url=None))
        before = runtime.get_store()
        runtime.reset_storage()
        after = runtime.get_store()
        assert after is not None
        assert after is not before
