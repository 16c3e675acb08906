"""Processes end by SIGTERM and SIGKILL: on Postgres the next remembers, in memory it forgets."""

import asyncio
import os
import random
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import Any

import orjson
import pytest
import pytest_asyncio

from harness.database import ScratchDatabases
from harness.faults.talker import Talker, TalkerEnded
from harness.models import Json
from harness.provision.locks import locked
from tests.integration.restart.story import FIRST_TURNS, STEPS, TURNS, play, said

postgres = pytest.mark.postgres

KILLS = 3
EMPTY: Json = {"values": {}, "next": [], "interrupts": [], "tasks": [], "checkpoint_id": None}


async def once(folders: pytest.TempPathFactory, mode: str, url: str | None) -> Json:
    """Play the story once, however many workers ask for it."""
    folder = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers' common folder
    path = folder / f"{mode}.json"
    with ExitStack() as stack:
        lock = locked(folder / f"{mode}.lock", wait_s=50)
        await asyncio.to_thread(stack.enter_context, lock)
        if not path.exists():
            path.write_bytes(orjson.dumps(await play(url)))
        story: Json = orjson.loads(path.read_bytes())
        return story


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lasting(
    scratch_databases: ScratchDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Json:
    """What was seen where the processes store in Postgres."""
    async with scratch_databases.clone() as url:
        return await once(tmp_path_factory, "postgres", url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleeting(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """What was seen where they store in memory."""
    return await once(tmp_path_factory, "memory", None)


def texts(messages: list[Json]) -> list[str]:
    """What was said, in order."""
    return [message["text"] for message in messages]


def is_empty(snapshot: Json) -> bool:
    """Whether a thread holds nothing."""
    return snapshot == {**snapshot, **EMPTY}


@postgres
class TestPostgres:
    """The script on Postgres."""

    @pytest.mark.invariant(1)
    def test_twenty_turns_are_forty_messages(self, lasting: Json) -> None:
        """Twenty turns in three processes: forty messages, in order."""
        expected = [
            text
            for turn in range(1, TURNS + 1)
            for text in (said(turn), lasting["alice"][turn - 1])
        ]
        messages = lasting["end"]["values"]["messages"]
        assert texts(messages) == expected
        assert [message["type"] for message in messages] == ["human", "ai"] * TURNS

    def test_a_new_process_remembers(self, lasting: Json) -> None:
        """What an earlier process was told is known after SIGTERM, and after SIGKILL."""
        for turn in FIRST_TURNS[1:]:
            assert lasting["alice"][turn - 1] == "Your name is Alice."

    def test_threads_never_mix(self, lasting: Json) -> None:
        """Bob's thread knows Bob, and neither holds a word of the other."""
        assert lasting["bob"][-1] == "Your name is Bob."
        for seen in lasting["after"]:
            assert texts(seen["bob"]["state"]["values"]["messages"]) == [
                "My name is Bob",
                "Nice to meet you, Bob.",
            ]
            assert "Bob" not in "".join(texts(seen["alice"]["state"]["values"]["messages"]))

    @pytest.mark.invariant(8)
    @pytest.mark.parametrize("end", [0, 1], ids=["SIGTERM", "SIGKILL"])
    def test_every_thread_is_as_it_was(self, lasting: Json, end: int) -> None:
        """States and histories are the same to the last id: values, next, tasks, parents."""
        assert lasting["after"][end] == lasting["before"][end]
        waiting = lasting["after"][0]
        for thread in ("approval", "nested"):
            assert waiting[thread]["state"]["next"]
            assert waiting[thread]["state"]["interrupts"]
        inner = waiting["nested"]["state"]["tasks"][0]["state"]
        assert inner["values"]["sources"] == ["tea in books", "tea in papers"]

    @pytest.mark.invariant(8)
    def test_a_pending_interrupt_resumes(self, lasting: Json) -> None:
        """It is answered in the next process after SIGTERM; in a subgraph, after SIGKILL too."""
        assert lasting["resumed"]["approval"]["log"] == ["proposed go", "did go"]
        assert lasting["resumed"]["nested"]["report"] == "tea: found: tea in books"

    def test_a_fact_is_known_in_other_threads_of_its_user_only(self, lasting: Json) -> None:
        """What Alice asked to remember is known in her new thread, and to nobody else."""
        assert lasting["facts"]["alice"] == "You told me: tea is good."
        assert lasting["facts"]["bob"] == "I don't know anything about you."

    @pytest.mark.invariant(2)
    def test_history_is_a_prefix_at_each_point(self, lasting: Json) -> None:
        """Each entry holds what was said until then; only the first of all holds nothing."""
        check_history(lasting["history"])
        empty = [entry for entry in lasting["history"] if not entry["values"]["messages"]]
        assert empty == lasting["history"][-1:]

    def test_rows_decode_to_the_messages(self, lasting: Json) -> None:
        """By plain SQL: a row for each entry of the history, each holding that entry's messages."""
        rows = lasting["rows"]
        assert len(rows) > 2 * TURNS
        assert rows[::-1] == [
            {
                "checkpoint_id": entry["checkpoint_id"],
                "parent_id": entry["parent_id"],
                "messages": [[m["type"], m["text"]] for m in entry["values"].get("messages", [])],
            }
            for entry in lasting["history"]
        ]

    def test_an_empty_thread_is_empty(self, lasting: Json) -> None:
        """A thread on which nobody spoke holds nothing and has no history, in any process."""
        for seen in (*lasting["before"], *lasting["after"]):
            assert is_empty(seen["nobody"]["state"])
            assert seen["nobody"]["history"] == []

    def test_sigterm_ends_it_cleanly(self, lasting: Json) -> None:
        """In mid-run it cancels the run, tells its caller, exits with 0; the run goes on later."""
        assert (lasting["terminated"], lasting["told"]) == (0, "CancelledError")
        assert lasting["resumed"]["steps"]["done"] == list(range(1, STEPS + 1))

    @pytest.mark.invariant(49)
    def test_a_killed_run_goes_on(self, lasting: Json) -> None:
        """With `sync`, what was acknowledged is stored; resumed, each step is there once."""
        assert lasting["stored"]["step"] >= lasting["acknowledged"] > 0
        assert lasting["stored"]["done"] == list(range(1, lasting["stored"]["step"] + 1))
        assert lasting["resumed"]["killed"]["done"] == list(range(1, STEPS + 1))


class TestMemory:
    """The same script in memory, which forgets."""

    @pytest.mark.invariant(7)
    def test_it_remembers_within_a_process(self, fleeting: Json) -> None:
        """Until its process ends, turn 2 sees turn 1, and an interrupt waits."""
        before = fleeting["before"][0]
        assert len(before["alice"]["state"]["values"]["messages"]) == 2 * (FIRST_TURNS[1] - 1)
        assert before["approval"]["state"]["next"] == ["ask"]
        check_history(before["alice"]["history"])

    def test_a_new_process_has_forgotten(self, fleeting: Json) -> None:
        """No name, no fact, no message of an earlier process is known."""
        for turn in FIRST_TURNS[1:]:
            assert fleeting["alice"][turn - 1] == "I don't know your name."
        assert fleeting["bob"][-1] == "I don't know your name."
        assert set(fleeting["facts"].values()) == {"I don't know anything about you."}
        messages = fleeting["end"]["values"]["messages"]
        assert len(messages) == 2 * (TURNS + 1 - FIRST_TURNS[-1])

    def test_every_thread_is_empty(self, fleeting: Json) -> None:
        """After each end all threads are as if nobody had spoken, and none can be resumed."""
        for seen in fleeting["after"]:
            for thread in seen.values():
                assert is_empty(thread["state"])
                assert thread["history"] == []
        assert fleeting["stored"] == {}
        assert fleeting["acknowledged"] > 0
        for came_of_it in fleeting["resumed"].values():
            assert "did go" not in came_of_it.get("log", [])
            assert not came_of_it.get("done")
            assert not came_of_it.get("report")

    def test_sigterm_ends_it_cleanly(self, fleeting: Json) -> None:
        """In mid-run it cancels the run, tells its caller, and exits with 0."""
        assert (fleeting["terminated"], fleeting["told"]) == (0, "CancelledError")


def check_history(history: list[Json]) -> None:
    """Every entry, newest first, is the one after it and perhaps something more."""
    assert history
    for newer, older in pairwise(history):
        before = older["values"].get("messages", [])
        assert newer["values"].get("messages", [])[: len(before)] == before
        assert newer["parent_id"] == older["checkpoint_id"]
    assert history[-1]["parent_id"] is None


class Conversation:
    """One thread on which somebody talks without a pause, whatever becomes of the process."""

    def __init__(self, thread_id: str, durability: str) -> None:
        self.thread_id = thread_id
        self.durability = durability
        self.said: list[str] = []
        self.acknowledged = 0
        """Turns whose answer has come."""

    async def talk(self, talker: Talker, on_event: Any) -> None:
        """Say one thing after another until the process ends."""
        with suppress(TalkerEnded):
            while True:
                self.said.append(f"{self.thread_id} says {len(self.said)}")
                await self._turn(talker, on_event)
                self.acknowledged = len(self.said)

    async def check(self, talker: Talker) -> None:
        """All that was acknowledged is there, nothing is half there, and the thread goes on."""
        state = await talker.state("agent", self.thread_id, owner="o")
        if state["tasks"]:  # not `next`, which leaves out a task whose writes are stored
            await talker.run("agent", self.thread_id, owner="o")  # the turn that was cut short
            state = await talker.state("agent", self.thread_id, owner="o")
        messages = texts(state["values"].get("messages", []))
        turns = len(messages) // 2
        assert self.acknowledged <= turns <= len(self.said)
        del self.said[turns:]
        assert messages == [t for said in self.said for t in (said, f"You said: {said}")]
        self.said.append("Goodbye")
        await self._turn(talker, None)
        self.acknowledged = len(self.said)
        check_history(await talker.history("agent", self.thread_id, owner="o"))

    async def _turn(self, talker: Talker, on_event: Any) -> None:
        given = {"messages": [{"role": "user", "content": self.said[-1]}]}
        await talker.run(
            "agent",
            self.thread_id,
            given,
            owner="o",
            durability=self.durability,
            on_event=on_event,
        )


@postgres
@pytest.mark.survival
@pytest.mark.invariant(1)
async def test_kills_at_random_moments(database_url: str) -> None:
    """Killed again and again amid twelve conversations: no acknowledged turn is lost or half."""
    chance = random.Random(7)  # noqa: S311 -- no secret
    conversations = [
        Conversation(f"{durability}-{number}", durability)
        for durability in ("sync", "async", "exit")
        for number in range(4)
    ]
    async with Talker(database_url) as talker:
        for _ in range(KILLS):
            moment = asyncio.Event()
            left = chance.randrange(20, 400)

            def count(*_: object) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    moment.set()  # noqa: B023 -- this round's

            async with asyncio.TaskGroup() as talking:
                for conversation in conversations:
                    talking.create_task(conversation.talk(talker, count))
                await moment.wait()
                await talker.kill()
            await talker.start()
            await asyncio.gather(*(conversation.check(talker) for conversation in conversations))
    assert sum(conversation.acknowledged for conversation in conversations) > 12 * KILLS
