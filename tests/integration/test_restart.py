"""A process is killed at random moments of many conversations: what was acknowledged is there."""

import asyncio
import random
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from harness.faults.talker import Talker, TalkerEnded
from harness.models import Json

KILLS = 3


def texts(messages: list[Json]) -> list[str]:
    """What was said, in order."""
    return [message["text"] for message in messages]


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


@pytest.mark.slow
@pytest.mark.postgres
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
