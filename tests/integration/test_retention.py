"""Pruned histories of real graphs: what stays is whole, goes on, and is the same in both modes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from harness.agents import build_agent, build_approval, build_nested
from harness.contract.checkpointer.builders import Story, a_checkpoint, ids, some_metadata
from harness.database import Database
from harness.models import Pruned
from harness.persistence import PooledSaver, memory_saver, setup_langgraph
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

OWNER = "ann"


@dataclass(frozen=True)
class Site:
    """A storage and the checkpointer beside it."""

    storage: FullStorage
    saver: BaseCheckpointSaver[str]

    async def thread(self, owner: str = OWNER) -> RunnableConfig:
        """Return the config of a new thread."""
        return of((await self.storage.threads.create(owner=owner)).thread_id)

    async def prune(self, config: RunnableConfig, **what: Any) -> Pruned:
        """Prune one thread."""
        return await self.storage.threads.prune_history(
            [config["configurable"]["thread_id"]], owner=OWNER, **what
        )


def of(thread_id: str) -> RunnableConfig:
    """Return the config of a thread."""
    return {"configurable": {"thread_id": thread_id}}


def in_memory() -> Site:
    """Return the site of memory mode."""
    backend = MemoryBackend()
    return Site(LocalStorage(backend), memory_saver(backend))


async def in_postgres(database: Database) -> Site:
    """Return a site on a database."""
    await setup_langgraph(database)
    return Site(LocalStorage(PostgresBackend(database)), PooledSaver(database))


@pytest.fixture
async def postgres_site(database: Database) -> Site:
    """Return a site on a database of this test."""
    return await in_postgres(database)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest) -> Site:
    """Return a site of each kind."""
    if request.param == "memory":
        return in_memory()
    made: Site = request.getfixturevalue("postgres_site")
    return made


def append(before: list[str], writes: Sequence[list[str]]) -> list[str]:
    """Add several writes at once."""
    return [*before, *(line for write in writes for line in write)]


class Logs(TypedDict, total=False):
    """Two logs, whose values are stored at different steps, and a plain number."""

    log: Annotated[list[str], DeltaChannel(append, snapshot_frequency=3)]
    rare: Annotated[list[str], DeltaChannel(append, snapshot_frequency=4)]
    turn: int


async def note(state: Logs) -> Logs:
    """Note what is known so far."""
    turn = state["turn"]
    noted: Logs = {"log": [f"{turn} after {len(state['log'])}"]}
    return {**noted, "rare": [f"rare {turn}"]} if turn % 2 else noted


def logging(site: Site) -> Any:
    """Compile a graph with delta channels."""
    graph = StateGraph(Logs).add_node(note).add_edge(START, "note")
    return graph.compile(checkpointer=site.saver)


async def log(site: Site, config: RunnableConfig, turns: range) -> dict[str, Any]:
    """Take turns, and return the state."""
    graph = logging(site)
    for turn in turns:
        await graph.ainvoke({"turn": turn, "log": [f"{turn}"]}, config)
    return dict((await graph.aget_state(config)).values)


async def history(graph: Any, config: RunnableConfig) -> dict[str, Any]:
    """Return a thread's states by the ids of their checkpoints."""
    return {
        state.config["configurable"]["checkpoint_id"]: state
        async for state in graph.aget_state_history(config)
    }


class TestConversations:
    """The graph `agent`."""

    @pytest.mark.parametrize("keep", [1, 3])
    async def test_a_pruned_conversation_goes_on(self, site: Site, keep: int) -> None:
        """The state is as it was, its history is short, and the next turn follows."""
        graph, config, other = build_agent(site.saver), await site.thread(), await site.thread()
        for one in (config, other):
            for turn in range(3):
                await graph.ainvoke({"messages": [("user", f"My name is Bo{turn}.")]}, one)
        before, others = await graph.aget_state(config), await history(graph, other)
        pruned = await site.prune(config, keep=keep)
        after = await graph.aget_state(config)
        assert (after.values, after.config, after.next) == (
            before.values,
            before.config,
            before.next,
        )
        assert list(await history(graph, config)) == (await ids(site.saver, config))
        assert len(await history(graph, config)) == keep
        assert pruned.checkpoints.rows == len(others) - keep
        assert pruned.freed_bytes > 0
        assert await history(graph, other) == others
        said = await graph.ainvoke({"messages": [("user", "What's my name?")]}, config)
        assert len(said["messages"]) == 8
        assert "Bo2" in said["messages"][-1].text

    async def test_time_travel_to_what_stayed(self, site: Site) -> None:
        """Each kept checkpoint reads as before, has no dangling parent, and can be gone on from."""
        graph, config = build_agent(site.saver), await site.thread()
        for turn in range(3):
            await graph.ainvoke({"messages": [("user", f"turn {turn}")]}, config)
        before = await history(graph, config)
        await site.prune(config, keep=4)
        after = await history(graph, config)
        assert list(after) == list(before)[:4]
        for key, state in after.items():
            assert (state.values, state.next) == (before[key].values, before[key].next)
        parents = [state.parent_config for state in after.values()]
        assert parents[:-1] == [state.config for state in [*after.values()][1:]]
        assert parents[-1] is None
        oldest = [*after.values()][-1]
        again = await graph.ainvoke(None, oldest.config)
        assert [m.text for m in again["messages"]] == [
            m.text for m in (await graph.aget_state(config)).values["messages"]
        ]

    async def test_a_pending_interrupt_is_resumed(self, site: Site) -> None:
        """What a run waits for is there after pruning, and the answer reaches it."""
        graph, config = build_approval(site.saver), await site.thread()
        waiting = await graph.ainvoke({"action": "tea"}, config)
        before = await graph.aget_state(config)
        assert before.next
        await site.prune(config, keep=1)
        after = await graph.aget_state(config)
        assert (after.next, after.interrupts) == (before.next, before.interrupts)
        assert "__interrupt__" in waiting
        await graph.ainvoke(Command(resume=True), config)
        assert not (await graph.aget_state(config)).next


class TestSubgraphs:
    """The graph `nested`."""

    async def test_a_call_goes_with_its_root_checkpoint(self, site: Site) -> None:
        """Namespaces of earlier calls go as a whole; that of a waiting call stays and resumes."""
        graph, config = build_nested(site.saver), await site.thread()
        await graph.ainvoke({"topic": "tea"}, config)
        await graph.ainvoke(Command(resume="books"), config)
        earlier = {one.config["configurable"]["checkpoint_ns"] async for one in listed(site)}
        await graph.ainvoke({"topic": "jam"}, config)
        pruned = await site.prune(config, keep=1)
        spaces = {one.config["configurable"]["checkpoint_ns"] async for one in listed(site)}
        assert len(earlier) == 2
        assert earlier & spaces == {""}
        assert len(spaces) == 2
        assert pruned.writes.rows > 0
        said = await graph.ainvoke(Command(resume="papers"), config)
        assert said["findings"] == ["found: books", "found: papers"]
        assert said["report"] == "jam: found: papers"

    async def test_all_calls_stay_with_their_roots(self, site: Site) -> None:
        """As long as the root checkpoint of a call stays, its namespace can be read."""
        graph, config = build_nested(site.saver), await site.thread()
        await graph.ainvoke({"topic": "tea"}, config)
        [call] = (await graph.aget_state(config, subgraphs=True)).tasks
        assert await site.prune(config, keep=50) == Pruned()
        assert (await site.prune(config, keep=1)).checkpoints.rows > 0
        [kept] = (await graph.aget_state(config, subgraphs=True)).tasks
        assert (kept.id, _values(kept)) == (call.id, _values(call))


def listed(site: Site) -> Any:
    """Iterate all checkpoints of all threads."""
    return site.saver.alist(None)


def _values(task: Any) -> Any:
    """Return the state of a subgraph's call."""
    return task.state.values


class TestDeltas:
    """A graph with delta channels."""

    @pytest.mark.parametrize("durability", ["sync", "exit"])
    @pytest.mark.parametrize("keep", [1, 2, 5])
    async def test_what_stays_is_rebuilt(self, site: Site, keep: int, durability: Any) -> None:
        """Each kept state is as it was, at every length of the way back to a stored value."""
        graph, config = logging(site), await site.thread()
        told: list[str] = []
        for turn in range(12):
            entered: Logs = {"turn": turn, "log": [f"{turn}"]}
            await graph.ainvoke(entered, config, durability=durability)
            told += [f"{turn}", f"{turn} after {len(told) + 1}"]
            before = await history(graph, config)
            await site.prune(config, keep=keep)
            after = await history(graph, config)
            assert [*after][:keep] == [*before][:keep]
            for key in [*after][:keep]:
                assert after[key].values == before[key].values
            assert (await graph.aget_state(config)).values == {
                "turn": turn,
                "log": told,
                "rare": [f"rare {n}" for n in range(1, turn + 1, 2)],
            }
        assert len(after) < 12

    async def test_what_stays_for_deltas_only_tells_no_half_truth(self, site: Site) -> None:
        """An ancestor kept for one channel reads the others as they were, or as empty."""
        graph, config = logging(site), await site.thread()
        await log(site, config, range(20))
        before = await history(graph, config)
        await site.prune(config, keep=1)
        after = await history(graph, config)
        assert 1 < len(after) < len(before)
        emptied = 0
        for key, state in after.items():
            was = before[key].values
            emptied += state.values != was
            assert state.values == {
                name: was[name] if state.values[name] else state.values[name] for name in was
            }
            assert state.values["turn"] == was["turn"]
        assert 0 < emptied < len(after) - 1
        assert await site.prune(config, keep=1) == Pruned()

    async def test_forks_have_ways_of_their_own(self, site: Site) -> None:
        """A fork's head is the newest, and the main line's states that stay are rebuilt too."""
        graph, config = logging(site), await site.thread()
        await log(site, config, range(6))
        states = [*(await history(graph, config)).values()]
        await graph.ainvoke({"turn": 50, "log": ["fork"]}, states[9].config)
        before = await history(graph, config)
        await site.prune(config, keep=5)
        after = await history(graph, config)
        for key in [*before][:5]:
            assert after[key].values == before[key].values
        expected = {**before[next(iter(before))].values, "turn": 60}
        expected["log"] = [*expected["log"], "60", f"60 after {len(expected['log']) + 1}"]
        assert await log(site, config, range(60, 61)) == expected


class TestBothModes:
    """Memory and Postgres prune the same."""

    @pytest.mark.postgres
    async def test_the_same_goes(self, postgres_site: Site) -> None:
        """Threads, states, checkpoints and writes that go are as many in either mode."""
        told = [await self._prune(one) for one in (in_memory(), postgres_site)]
        assert told[0] == told[1]
        assert [counts[0] for counts in told[0]] == [1, 1, 1, 1]

    async def _prune(self, site: Site) -> list[tuple[int, ...]]:
        counts = []
        for work in (_chat, _nest, _log, _snap):
            config = await site.thread()
            await work(site, config)
            pruned = await site.prune(config, keep=2)
            tables = (pruned.states, pruned.checkpoints, pruned.writes)
            counts.append((pruned.threads, *(table.rows for table in tables)))
        return counts

    @pytest.mark.invariant(38)
    async def test_age(self, site: Site) -> None:
        """With an age, what was made since then stays beside the newest few; `ts` tells the age."""
        config = await site.thread()
        story = Story(site.saver, config["configurable"]["thread_id"])
        made = [await _aged(story, hours) for hours in (9, 8, 7, 2, 1)]
        assert await site.prune(config, older_than_s=10 * 3_600) == Pruned()
        assert (await site.prune(config, keep=4, older_than_s=3_600 * 1.5)).checkpoints.rows == 1
        assert (await site.prune(config, older_than_s=3_600 * 7.5)).checkpoints.rows == 1
        assert (await site.prune(config, older_than_s=3_600 * 1.5)).checkpoints.rows == 2
        assert await ids(site.saver, config) == made[:-2:-1]
        assert await site.prune(config, older_than_s=0) == Pruned()

    @pytest.mark.invariant(6)
    async def test_whose_checkpoints(self, site: Site) -> None:
        """An owner's call leaves others' checkpoints; nobody's takes LangGraph's own too."""
        mine, bobs = await site.thread(), await site.thread("bob")
        unknown = of(str(uuid4()))
        for config in (mine, bobs, unknown):
            await _chat(site, config)
        prune = site.storage.threads.prune_history
        assert (await prune(keep=1, owner=OWNER)).threads == 1
        before = await ids(site.saver, bobs), await ids(site.saver, unknown)
        assert (await prune(keep=1, dry_run=True)).threads == 2
        assert (await ids(site.saver, bobs), await ids(site.saver, unknown)) == before
        assert (await prune(keep=1)).threads == 2
        assert await prune(keep=1) == Pruned()

    async def test_the_latest_is_kept_by_its_other_name(self, site: Site) -> None:
        """`prune` with the strategy `keep_latest` does as the SDK's call: checkpoints go too."""
        config = await site.thread()
        await _chat(site, config)
        before = await build_agent(site.saver).aget_state(config)
        thread_id = config["configurable"]["thread_id"]
        await site.storage.threads.add_state(thread_id, {}, owner=OWNER)
        prune = site.storage.threads.prune
        assert await prune([thread_id], strategy="keep_latest", owner=OWNER) == 1
        assert len(await ids(site.saver, config)) == 1
        assert (await build_agent(site.saver).aget_state(config)).values == before.values


async def _chat(site: Site, config: RunnableConfig) -> None:
    for turn in range(3):
        await build_agent(site.saver).ainvoke({"messages": [("user", f"{turn}")]}, config)


async def _nest(site: Site, config: RunnableConfig) -> None:
    graph = build_nested(site.saver)
    for topic in ("tea", "jam"):
        await graph.ainvoke({"topic": topic}, config)
        await graph.ainvoke(Command(resume=topic), config)


async def _log(site: Site, config: RunnableConfig) -> None:
    await log(site, config, range(15))


async def _snap(site: Site, config: RunnableConfig) -> None:
    for number in range(4):
        thread_id = config["configurable"]["thread_id"]
        await site.storage.threads.add_state(thread_id, {"n": number}, owner=OWNER)


async def _aged(story: Story, hours: float) -> str:
    """Put a checkpoint that was made hours ago; return its id."""
    checkpoint = a_checkpoint()
    checkpoint["ts"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    story.head = await story.saver.aput(story.head, checkpoint, some_metadata(), {})
    return checkpoint["id"]
