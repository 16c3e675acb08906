"""Pruning under graphs: what stays reads as before, and conversations go on, in both modes."""

import asyncio
import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from harness.agents import DeterministicChatModel, Graph, build_agent, build_nested, build_steps
from harness.contract.checkpointer.builders import (
    Story,
    a_thread,
    at,
    everywhere,
    found,
    id_of,
    ids,
    listed,
)
from harness.database import Database
from harness.models import Pruned
from harness.persistence import PooledSaver, memory_saver, setup_langgraph
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

OWNER = "ann"
AGED = (
    "UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{ts}',"
    " to_jsonb((checkpoint ->> 'ts')::timestamptz - %(by)s))"
)


@dataclass(frozen=True)
class Site:
    """A storage, and the checkpointer beside it."""

    storage: FullStorage
    saver: BaseCheckpointSaver[Any]

    async def prune(self, **keeping: Any) -> Pruned:
        """Shorten everybody's histories."""
        return await self.storage.threads.prune_history(**keeping, owner=None)


@pytest.fixture
def memory_site() -> Site:
    """Return memory mode's site."""
    backend = MemoryBackend()
    return Site(LocalStorage(backend), memory_saver(backend))


@pytest.fixture
async def postgres_site(database: Database) -> Site:
    """Return a site on a database of this test."""
    await setup_langgraph(database)
    return Site(LocalStorage(PostgresBackend(database)), PooledSaver(database))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest) -> Site:
    """Return one site, then the other."""
    found: Site = request.getfixturevalue(f"{request.param}_site")
    return found


def _extend(old: list[str], new: Any) -> list[str]:
    return [*old, *(line for lines in new for line in lines)]


class _Log(TypedDict):
    log: Annotated[list[str], DeltaChannel(_extend, snapshot_frequency=3)]
    count: Annotated[int, operator.add]


def build_log(saver: BaseCheckpointSaver[Any]) -> Graph:
    """Compile a graph whose log is a delta channel."""

    def answer(state: _Log) -> dict[str, Any]:
        return {"log": [f"answer {len(state['log'])}"], "count": 1}

    graph = StateGraph(_Log).add_node(answer).add_edge(START, "answer")
    return graph.compile(checkpointer=saver)


def build_chat(saver: BaseCheckpointSaver[Any]) -> Graph:
    """Compile the conversation."""
    return build_agent(saver, model=DeterministicChatModel())


TALKS: dict[str, tuple[Callable[[BaseCheckpointSaver[Any]], Graph], Callable[[int], Any]]] = {
    "plain": (build_chat, lambda turn: {"messages": [HumanMessage(f"turn {turn}")]}),
    "delta": (build_log, lambda turn: {"log": [f"turn {turn}"], "count": 0}),
}


@pytest.mark.invariant(38)
@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("keep", [1, 3])
async def test_what_stays_reads_as_before(site: Site, talk: str, keep: int) -> None:
    """The newest states are unchanged, the thread goes on from them, and pruning again is no-op."""
    build, say = TALKS[talk]
    graph, place = build(site.saver), at(a_thread())
    for turn in range(6):
        await graph.ainvoke(say(turn), place)
    before = [one.values async for one in graph.aget_state_history(place)]
    rows = len(before)
    pruned = await site.prune(keep=keep)
    after = [one.values async for one in graph.aget_state_history(place)]
    assert after[:keep] == before[:keep]
    assert pruned.checkpoints.rows == rows - len(after) > 0
    assert pruned.rows > pruned.checkpoints.rows
    assert pruned.freed_bytes > 0
    assert await site.prune(keep=keep) == Pruned()
    assert len(after) == keep or talk == "delta"  # which needs ancestors up to its last snapshot
    head = await graph.aget_state(place)
    older = [one async for one in graph.aget_state_history(place)][keep - 1]
    assert (await graph.aget_state(older.config)).values == before[keep - 1]
    await graph.ainvoke(say(6), place)
    grown = (await graph.aget_state(place)).values
    for channel, value in head.values.items():
        if isinstance(value, list):
            assert grown[channel][: len(value)] == value
            assert len(grown[channel]) == len(value) + 2


async def test_an_interrupt_outlives_pruning(site: Site) -> None:
    """A subgraph that waits for an answer still has its checkpoints, and hears the answer."""
    graph, place = build_nested(site.saver), at(a_thread())
    for _ in range(2):  # the first call's namespace goes with the root checkpoint it started from
        await graph.ainvoke({"topic": "tea"}, place)
        await graph.ainvoke(Command(resume="a book"), place)
    await graph.ainvoke({"topic": "salt"}, place)
    spaces = {one.config["configurable"]["checkpoint_ns"] for one in await everything(site, place)}
    assert len(spaces) == 4
    await site.prune(keep=1)
    spaces = {one.config["configurable"]["checkpoint_ns"] for one in await everything(site, place)}
    assert len(spaces) == 2
    assert (await graph.aget_state(place, subgraphs=True)).tasks[0].interrupts
    done = await graph.ainvoke(Command(resume="a paper"), place)
    assert done["report"] == "salt: found: a paper"
    assert len(done["findings"]) == 3


async def everything(site: Site, place: Any) -> list[CheckpointTuple]:
    """Return the checkpoints of all namespaces of a thread."""
    return await listed(site.saver, everywhere(place["configurable"]["thread_id"]))


@pytest.mark.postgres
async def test_only_old_checkpoints_go(database: Database) -> None:
    """With an age, what is younger stays, whatever its number."""
    await setup_langgraph(database)
    saver, storage = PooledSaver(database), LocalStorage(PostgresBackend(database))
    story = Story(saver)
    for number in range(4):
        await story.step({"c": [number]})
    await database.write(AGED, {"by": timedelta(days=2)})
    for number in range(2):
        await story.step({"c": [number]})
    pruned = await storage.threads.prune_history(older_than_s=86_400, owner=None)
    assert pruned.checkpoints.rows == 4
    assert len(await ids(saver, at(story.thread_id))) == 2


async def test_an_owners_threads_alone_lose_checkpoints(site: Site) -> None:
    """Checkpoints of others' threads, and of threads that storage does not know, stay."""
    mine = await site.storage.threads.create(owner=OWNER)
    theirs = await site.storage.threads.create(owner="bob")
    stories = [Story(site.saver, one) for one in (mine.thread_id, theirs.thread_id, "unknown")]
    for story in stories:
        for number in range(3):
            await story.step({"c": [number]})
    pruned = await site.storage.threads.prune_history(keep=1, owner=OWNER)
    assert (pruned.threads, pruned.checkpoints.rows, pruned.blobs.rows) == (1, 2, 2)
    assert [len(await ids(site.saver, at(one.thread_id))) for one in stories] == [1, 3, 3]
    assert (await site.prune(thread_ids=["unknown"], keep=2)).checkpoints.rows == 1
    [*_, pruned_too] = [await site.storage.threads.prune([theirs.thread_id], owner="bob")]
    assert pruned_too == 1
    assert await ids(site.saver, at(theirs.thread_id)) == []


async def test_pruning_beside_a_run_harms_nothing(site: Site) -> None:
    """A run of many steps goes on while its thread is pruned again and again, by two at a time."""
    graph, place = build_steps(site.saver), at(a_thread())
    running = asyncio.create_task(
        graph.ainvoke({"steps": 60, "delay_s": 0.002}, {**place, "recursion_limit": 100})
    )
    gone = Pruned()
    while not running.done():
        for pruned in await asyncio.gather(site.prune(keep=1), site.prune(keep=2)):
            gone += pruned
        await asyncio.sleep(0)
    done = await running
    assert done["done"] == list(range(1, 61))
    assert (await graph.aget_state(place)).values["done"] == done["done"]
    assert gone.checkpoints.rows > 10
    await site.prune(keep=1)
    assert len(await ids(site.saver, place)) == 1


Step = tuple[frozenset[str], frozenset[str], int]
"""Delta channels whose value is stored, those that are emptied, and how far back to fork."""

steps = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(["d", "e"])),
        st.frozensets(st.sampled_from(["d", "e"])),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=10,
)


async def tell(saver: BaseCheckpointSaver[Any], told: list[Step]) -> Story:
    """Put a tree of checkpoints, with a write to each channel at each."""
    branches = [Story(saver)]
    for number, (stored, emptied, back) in enumerate(told):
        story = branches[max(len(branches) - 1 - back, 0)].fork()
        story.steps = number
        counters: Any = {"counters_since_delta_snapshot": {"d": [0, 0], "e": [0, 0]}}
        changes = {"c": [number], **{one: _DeltaSnapshot([number]) for one in stored}}
        await story.step(changes, emptied=emptied - stored, **counters)
        for channel in story.versions:  # what is written to has a version, in LangGraph's loop
            await story.write(f"{channel}{number}", task=channel, channel=channel)
        branches.append(story)
    return branches[-1]


async def seen(saver: BaseCheckpointSaver[Any], one: CheckpointTuple) -> Any:
    """Return all that can be read of a checkpoint, but for its parent."""
    tuple_ = await found(saver, one.config)
    versions, stored = (tuple_.checkpoint[part] for part in ("channel_versions", "channel_values"))
    open_ = sorted({"d", "e"} & versions.keys() - stored.keys())  # else LangGraph does not ask
    deltas = await saver.aget_delta_channel_history(config=one.config, channels=open_)
    history = {
        name: ([value for _, _, value in way["writes"]], way.get("seed"))
        for name, way in deltas.items()
    }
    return tuple_.checkpoint, tuple_.metadata, tuple_.pending_writes, history


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=steps, keep=st.integers(1, 4))
async def test_whatever_the_tree_what_stays_is_whole(
    site: Site, told: list[Step], keep: int
) -> None:
    """Kept checkpoints read as before, deltas too; the rest stays only as somebody's ancestor."""
    story = await tell(site.saver, told)
    place = at(story.thread_id)
    before = await listed(site.saver, place)
    whole = [await seen(site.saver, one) for one in before[:keep]]
    pruned = await site.prune(thread_ids=[str(story.thread_id)], keep=keep)
    after = await listed(site.saver, place)
    assert len(before) - len(after) == pruned.checkpoints.rows
    assert [await seen(site.saver, one) for one in after[:keep]] == whole
    parents = {id_of(one.config): one.parent_config for one in before}
    needed: set[str] = set()
    for one in before[:keep]:
        way: Any = one.config
        while way is not None:
            needed.add(id_of(way))
            way = parents.get(id_of(way))
    left = [id_of(one.config) for one in after]
    assert set(left) <= needed | {id_of(one.config) for one in before[:keep]}
    for one in after:
        assert one.parent_config is None or id_of(one.parent_config) in left
    if not any(stored | emptied for stored, emptied, _ in told):
        assert len(left) == min(keep, len(before))


@pytest.mark.slow
@pytest.mark.postgres
async def test_the_command_says_what_it_freed(database: Database, database_url: str) -> None:
    """`harness db prune` prunes DATABASE_URL, a dry run only says so, and nonsense is one line."""
    nothing, _ = await _prune(database_url, "--keep", "1")
    assert "There are no threads here" not in nothing  # storage's own table is there
    await setup_langgraph(database)
    story = Story(PooledSaver(database), "any text")
    for number in range(4):
        await story.step({"c": [number]})
    said, _ = await _prune(database_url, "--keep", "1", "--dry-run")
    assert "1 thread would lose 6 rows" in said
    assert len(await ids(story.saver, at("any text"))) == 4
    said, _ = await _prune(database_url, "--keep", "2", "--older-than", "1s", "--thread", "other")
    assert "0 threads lost 0 rows" in said
    said, _ = await _prune(database_url, "--keep", "1", "--thread", "any text")
    assert "1 thread lost 6 rows" in said
    assert len(await ids(story.saver, at("any text"))) == 1
    for arguments, complaint in (
        ((), "say what stays"),
        (("--keep", "0"), "keep must be a whole number from 1"),
        (("--older-than", "soon"), "--older-than is like"),
    ):
        said, err = await _prune(database_url, *arguments)
        assert said == ""
        assert err.startswith(f"harness: {complaint}")
        assert err.count("\n") == 1


async def _prune(url: str, *arguments: str) -> tuple[str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from harness.cli import main; main()", "db", "prune"),
        *arguments,
        env={"DATABASE_URL": url, "COLUMNS": "120", "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return out.decode(), err.decode()
