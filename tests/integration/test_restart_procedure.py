"""The restart procedure without a human: a server ends, is started again, and all is as it was."""

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import pytest
import pytest_asyncio
from langgraph_sdk.errors import NotFoundError

from harness.database import ScratchDatabases
from harness.faults.rows import checkpoint_rows
from harness.schema import LANGGRAPH_TABLES
from tests.integration import owners
from tests.integration.restart.inspection import NO_VECTORS, TABLES, Inspection
from tests.integration.restart.people import ASKS, KNOWS, NOTES, TURNS, People, texts
from tests.integration.restart.underway import DONE, LONG, Underway
from tests.integration.serving import Serving, said_by_node

pytest_plugins = ("tests.integration.serving_fixtures",)

SETTINGS: Final = {**owners.SETTINGS, "HARNESS_LEASE_S": "2"}
BEFORE: Final = [text for said in TURNS for text in (said, f"You said: {said}")]
BEFORE[1] = "Nice to meet you, Alice."
"""Alice's conversation before the server ends."""


@dataclass(frozen=True)
class End:
    """How a server ends."""

    how: signal.Signals
    in_mid_run: bool = False

    @property
    def hardest(self) -> bool:
        """Whether no other end leaves more to find; the others are slow tests."""
        return self.in_mid_run and self.how is signal.SIGKILL


ENDS: Final = {
    "Ctrl-C": End(signal.SIGINT),
    "SIGKILL": End(signal.SIGKILL),
    "SIGTERM in mid-run": End(signal.SIGTERM, in_mid_run=True),
    "SIGKILL in mid-run": End(signal.SIGKILL, in_mid_run=True),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url(scratch_databases: ScratchDatabases) -> AsyncIterator[str]:
    """Address of the database that the server has over all its starts."""
    async with scratch_databases.clone() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lasting(url: str) -> AsyncIterator[Serving]:
    """A server on Postgres, which ends again and again."""
    async with Serving(url, **SETTINGS) as server:
        yield server


@pytest.mark.postgres
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(end, id=name, marks=() if end.hardest else pytest.mark.slow)
        for name, end in ENDS.items()
    ],
)
@pytest.mark.invariant(1, 2, 3, 4, 8, 25, 28, 30, 49)
async def test_on_postgres_all_is_as_it_was(lasting: Serving, url: str, end: End) -> None:
    """What was stored is there, to the last id; the agents remember; what ran goes on."""
    people = People(lasting)
    await people.arrive()
    check_stream(people.parts)
    before = await people.look()
    check_history(before[people.talk]["history"])
    underway = Underway(people.alice)
    if end.in_mid_run:
        await underway.begin()

    await lasting.end(end.how)
    if end.in_mid_run:
        await underway.look_behind(url)
    await lasting.start()

    assert "(Postgres)" in lasting.announced
    assert await people.look() == before
    if end.in_mid_run:
        await check_went_on(underway, killed=end.how is signal.SIGKILL)
    await check_memory(people)
    await check_rows(Inspection(url), people, url)


@pytest.mark.slow
@pytest.mark.invariant(1, 2, 7, 30)
async def test_in_memory_all_is_forgotten() -> None:
    """Until it ends it remembers; then there is nothing, and each thread begins anew."""
    async with Serving(None, **SETTINGS) as server:
        people = People(server)
        await people.arrive()
        check_stream(people.parts)
        check_history((await people.look())[people.talk]["history"])
        assert await people.say(people.alice, people.talk, ASKS) == "Your name is Alice."
        assert set((await people.statuses()).values()) == {200}
        underway = Underway(people.alice)
        await underway.begin()

        await server.end(signal.SIGKILL)
        await server.start()

        assert "memory, which forgets" in server.announced
        health = (await people.http.get("/health")).json()
        assert (health["status"], health["persistence"]) == ("ok", "memory")
        assert set((await people.statuses()).values()) == {404}
        for reader in underway.readers:
            with pytest.raises(NotFoundError, match=r"run .* not found"):
                await reader.end()
        await check_nothing_is_left(people)


def check_stream(parts: list[Any]) -> None:
    """Only the modes that were asked for, in order; the deltas of each node are its message."""
    metadata, *parts = parts
    assert metadata.event == "metadata"
    assert metadata.data == {"run_id": metadata.data["run_id"], "attempt": 1}
    order = [part.event for part in parts]
    assert [name for name, after in pairwise([*order, ""]) if name != after] == [
        *("values", "messages", "updates", "values", "messages", "updates", "values")
    ]
    said = said_by_node(parts)
    updates = {k: v for p in parts if p.event == "updates" for k, v in p.data.items()}
    first, *_, last = [part.data for part in parts if part.event == "values"]
    assert texts(first) == BEFORE[:1]
    assert texts(last) == BEFORE[:2]
    assert said == {"answer": texts(last)[-1], "summarize": last["summary"]}
    assert updates["answer"]["messages"] == last["messages"][1:]
    assert updates["summarize"] == {"summary": last["summary"]}


def check_history(history: list[Any]) -> None:
    """Every entry, newest first, is the one after it and perhaps something more."""
    for newer, older in pairwise(history):
        before = texts(older["values"])
        assert texts(newer["values"])[: len(before)] == before
        assert newer["parent_checkpoint"] == older["checkpoint"]
    assert texts(history[0]["values"]) == BEFORE
    assert history[-1]["parent_checkpoint"] is None


async def check_went_on(underway: Underway, *, killed: bool) -> None:
    """Each run ends, from its last checkpoint on: no step that was stored is done again."""
    for durability, reader in underway.steps.items():
        statuses = await reader.end()
        assert set(statuses) == {"success"}
        first, second = reader.heard
        stored = underway.stored[durability]
        assert reader.attempts == [1, 2]
        assert first == DONE[: len(first)]
        assert second == DONE[stored:]
        assert (await reader.values())["done"] == [*DONE, *[1] * (len(statuses) - 1)]
        if not killed:
            assert first + second == DONE, durability
        elif durability == "sync":  # a step is seen before it is stored, and acknowledged after
            assert reader.acknowledged[0] <= stored <= len(first) + 1
            assert underway.done_again[durability] <= 1
    assert set(await underway.tokens.end()) == {"success"}
    first, second = underway.tokens.heard
    answer = f"You said: {LONG}"
    assert "".join(second or first) == answer  # a node is done whole, by one of the two
    assert second or not killed
    assert (await underway.conversation())[2:] == [LONG, answer]


async def check_memory(people: People) -> None:
    """Everybody is known on their own threads, and what waited for an answer gets it."""
    alice, bob = people.alice, people.bob
    assert await people.say(alice, people.talk, ASKS) == "Your name is Alice."
    assert await people.say(bob, people.bobs_talk, ASKS) == "Your name is Bob."
    assert await people.say(alice, people.silent, ASKS) == "I don't know your name."
    state: Any = await alice.threads.get_state(people.talk)
    assert texts(state["values"]) == [*BEFORE, ASKS, "Your name is Alice."]
    [elsewhere, bobs] = people.others
    told = await people.say(alice, elsewhere, KNOWS, graph="memory")
    assert told == "You told me: tea is good."
    told = await people.say(bob, bobs, KNOWS, graph="memory")
    assert told == "I don't know anything about you."
    approved: Any = await alice.runs.wait(people.approval, "approval", command={"resume": True})
    assert approved["log"] == ["proposed leap", "did leap"]
    chosen: Any = await alice.runs.wait(people.nested, "nested", command={"resume": "tea in books"})
    assert chosen["report"] == "tea: found: tea in books"


async def check_nothing_is_left(people: People) -> None:
    """No list holds anything, no item is found, and no agent knows anybody."""
    alice = people.alice
    assert await alice.assistants.search(metadata={"team": "tides"}) == []
    assert await alice.threads.search() == []
    assert await alice.crons.search() == []
    assert (await alice.store.search_items(()))["items"] == []
    assert await alice.store.get_item(NOTES, "tides") is None
    assert await people.say(alice, people.talk, ASKS) == "I don't know your name."
    assert await people.say(people.bob, people.bobs_talk, ASKS) == "I don't know your name."
    told = await people.say(alice, people.memory, KNOWS, graph="memory")
    assert told == "I don't know anything about you."
    state: Any = await alice.threads.get_state(people.talk)
    assert texts(state["values"]) == [ASKS, "I don't know your name."]


async def check_rows(inspection: Inspection, people: People, url: str) -> None:
    """By plain SQL: schema, tables, each row under its owner, and checkpoints that decode."""
    alice, bob = people.names["alice"], people.names["bob"]
    assert await inspection.schemas() == {"langgraph_server"}
    assert await inspection.tables() >= TABLES
    assert await inspection.langgraphs_tables() == set(LANGGRAPH_TABLES) - NO_VECTORS
    assert await inspection.assistants(people.assistant) == [
        (people.assistant, "agent", alice, alice)
    ]
    assert set(await inspection.threads(people.talk, people.bobs_talk)) == {
        (people.talk, "idle", alice, alice),
        (people.bobs_talk, "idle", bob, bob),
    }
    assert sorted(await inspection.runs(people.talk, people.bobs_talk)) == sorted(
        [(people.talk, "success", alice, alice)] * (len(TURNS) + 1)
        + [(people.bobs_talk, "success", bob, bob)] * 2
    )
    assert await inspection.active() == []
    history: Any = await people.alice.threads.get_history(people.talk, limit=100)
    rows = await checkpoint_rows(url, people.talk)
    assert len(rows) > 4
    assert [(row.checkpoint_id, row.said) for row in reversed(rows)] == [
        (entry["checkpoint"]["checkpoint_id"], texts(entry["values"])) for entry in history
    ]
