"""Alice and Bob, who use an agent server before it ends and after: what they do and see."""

import secrets
from typing import Any, Final
from uuid import uuid4

from langgraph_sdk.client import LangGraphClient

from tests.integration.owners import client_of, token_of
from tests.integration.serving import Serving

TURNS: Final = ("My name is Alice", "The tide turns", "It turns again", "And again")
"""What Alice says before the server ends."""
ASKS: Final = "What's my name?"
KNOWS: Final = "What do you know?"
MODES: Final = ("values", "updates", "messages-tuple")
NOTES: Final = ("notes", "2026")
NOTE: Final = {"tides": [1, 2.5, None, "1"], "nested": {"true": True}}
YEARLY: Final = "0 4 1 1 *"


def said(text: str) -> dict[str, Any]:
    """Return an input of one message."""
    return {"messages": [{"role": "user", "content": text}]}


def texts(values: Any) -> list[str]:
    """Return what was said, in order."""
    return [message["content"] for message in values.get("messages", [])]


class People:
    """Two owners of one server, with ids of their own choice; Alice has several threads.

    Args:
        server: Where they are, over all its starts.
    """

    def __init__(self, server: Serving) -> None:
        name = secrets.token_hex(4)
        self.names = {"alice": f"alice-{name}", "bob": f"bob-{name}"}
        self.alice = client_of(server, self.names["alice"])
        self.bob = client_of(server, self.names["bob"])
        self.http = server.http(token_of(self.names["alice"]))
        self.assistant = str(uuid4())
        self.talk, self.silent, self.approval, self.nested, self.memory = (
            str(uuid4()) for _ in range(5)
        )
        """Alice's threads: a conversation, one on which nobody speaks, two that wait, a memory."""
        self.bobs_talk = str(uuid4())
        self.others = (str(uuid4()), str(uuid4()))
        """Threads of Alice and of Bob on which nobody has spoken yet."""
        self.parts: list[Any] = []
        """The events of the first run of Alice's conversation."""

    async def arrive(self) -> None:
        """Steps 4 to 6 of the procedure, and one of everything else that a server stores."""
        await self._make_assistant()
        alice = self.alice
        for thread_id in (self.talk, self.silent):
            await alice.threads.create(thread_id=thread_id, metadata={"topic": "tides"})
        self.parts = [
            part
            async for part in alice.runs.stream(
                self.talk,
                self.assistant,
                input=said(TURNS[0]),
                stream_mode=list(MODES),
                metadata={"turn": 1},
            )
        ]
        for turn in TURNS[1:]:
            await self.say(alice, self.talk, turn)
        await self.say(self.bob, self.bobs_talk, "My name is Bob")
        await self.say(alice, self.memory, "Remember that tea is good", graph="memory")
        for thread_id, graph, given in (
            (self.approval, "approval", {"action": "leap"}),
            (self.nested, "nested", {"topic": "tea"}),
        ):
            await alice.runs.wait(thread_id, graph, input=given, if_not_exists="create")
        await alice.store.put_item(NOTES, "tides", NOTE)
        await alice.crons.create_for_thread(
            self.talk, self.assistant, schedule=YEARLY, input=said("Hello"), metadata={"a": 1}
        )
        await alice.crons.create(self.assistant, schedule=YEARLY, timezone="Europe/Berlin")

    async def say(
        self, client: LangGraphClient, thread_id: str, text: str, *, graph: str = "agent"
    ) -> str:
        """Say something on a thread, which is made if need be; return the answer."""
        values: Any = await client.runs.wait(
            thread_id, graph, input=said(text), if_not_exists="create"
        )
        return texts(values)[-1]

    async def look(self) -> dict[str, Any]:
        """Return everything of theirs that the server shows, by what it is."""
        alice = self.alice
        seen: dict[str, Any] = {
            "assistant": await alice.assistants.get(self.assistant),
            "assistants": await alice.assistants.search(limit=100),
            "versions": await alice.assistants.get_versions(self.assistant),
            "note": await alice.store.get_item(NOTES, "tides"),
            "items": await alice.store.search_items(()),
            "namespaces": await alice.store.list_namespaces(),
            "crons": await alice.crons.search(),
            "topic": await alice.threads.search(metadata={"topic": "tides"}),
        }
        for thread_id in (self.talk, self.silent, self.approval, self.nested, self.memory):
            seen[thread_id] = await self._thread(alice, thread_id)
        seen[self.bobs_talk] = await self._thread(self.bob, self.bobs_talk)
        return seen

    async def statuses(self) -> dict[str, int]:
        """Return how each of Alice's single things is answered for, by its path."""
        paths = [
            f"/assistants/{self.assistant}",
            *(f"/threads/{thread_id}" for thread_id in (self.talk, self.approval, self.memory)),
            *(f"/threads/{self.talk}/{what}" for what in ("state", "history", "runs")),
        ]
        return {path: (await self.http.get(path)).status_code for path in paths}

    async def _make_assistant(self) -> None:
        """Make an assistant of two versions."""
        await self.alice.assistants.create(
            "agent",
            assistant_id=self.assistant,
            name="Helper",
            description="Knows tides.",
            metadata={"team": "tides", "rank": 1},
            config={"recursion_limit": 20, "tags": ["a"], "configurable": {"mood": "calm"}},
        )
        await self.alice.assistants.update(
            self.assistant, name="Better helper", metadata={"rank": 2}
        )

    async def _thread(self, client: LangGraphClient, thread_id: str) -> dict[str, Any]:
        return {
            "thread": await client.threads.get(thread_id),
            "state": await client.threads.get_state(thread_id, subgraphs=True),
            "history": await client.threads.get_history(thread_id, limit=100),
            "runs": await client.runs.list(thread_id),
        }
