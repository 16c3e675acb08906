"""Runs in the midst of which their server ends, and what both processes tell their readers."""

import asyncio
from typing import Any, Final
from uuid import uuid4

from langgraph_sdk.client import LangGraphClient

from harness.faults.rows import checkpoint_rows
from harness.measure.agent_records import DURABILITIES, Durability
from tests.integration.restart.people import said, texts

STEPS: Final = 20
PLAN: Final = {"steps": STEPS, "delay_s": 0.05}
DONE: Final = [*range(1, STEPS + 1)]
LONG: Final = "and so on " * 100
"""What the slow agent takes more than a second to repeat, token by token."""
_MIDWAY: Final = 5
"""Steps, or tokens, after which the server may end."""


class Reader:
    """Reads a run from its creation to its end, through every restart.

    The official client comes back by itself, with the id of the last event that it has.
    """

    def __init__(self, client: LangGraphClient, graph: str) -> None:
        self.thread_id = str(uuid4())
        self.attempts: list[int] = []
        self.heard: list[list[Any]] = []
        """The steps or the tokens of each attempt."""
        self.acknowledged: list[int] = []
        """The last step of each attempt whose state was given."""
        self._client, self._graph = client, graph
        self._midway = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def begin(self, given: Any, modes: list[Any], durability: Durability) -> None:
        """Create the run, and return when it is in its midst."""
        self._reading = asyncio.create_task(self._read(given, modes, durability))
        midway = asyncio.create_task(self._midway.wait())
        await asyncio.wait({self._reading, midway}, return_when=asyncio.FIRST_COMPLETED)
        if not midway.done():
            midway.cancel()
            await self._reading  # which says why

    async def end(self) -> list[str]:
        """Read to the stream's end, wait for the newest run; return all statuses, newest first."""
        if self._reading is not None:
            await self._reading
        newest, *_ = await self._client.runs.list(self.thread_id)
        await self._client.runs.join(self.thread_id, newest["run_id"])
        return [run["status"] for run in await self._client.runs.list(self.thread_id)]

    async def values(self) -> Any:
        """Return the thread's values."""
        return (await self._client.threads.get_state(self.thread_id))["values"]

    async def _read(self, given: Any, modes: list[Any], durability: Durability) -> None:
        async for part in self._client.runs.stream(
            self.thread_id,
            self._graph,
            input=given,
            if_not_exists="create",
            stream_mode=modes,
            stream_resumable=True,
            durability=durability,
        ):
            if part.event == "metadata":
                self.attempts.append(part.data["attempt"])
                self.heard.append([])
                self.acknowledged.append(0)
            elif part.event == "values":
                self.acknowledged[-1] = part.data.get("step", 0)
            elif part.event == "messages" and part.data[1]["langgraph_node"] == "answer":
                self.heard[-1].append(part.data[0]["content"])
            elif "step" in part.data:
                self.heard[-1].append(part.data["step"]["step"])
            if self.heard and len(self.heard[-1]) == _MIDWAY:
                self._midway.set()


class Underway:
    """Alice's runs that are under way: tokens are streamed, steps done, another run waits."""

    def __init__(self, alice: LangGraphClient) -> None:
        self._alice = alice
        self.tokens = Reader(alice, "slow")
        self.steps = {durability: Reader(alice, "steps") for durability in DURABILITIES}
        self.stored: dict[str, int] = {}
        """The last step of each that was stored when the server had ended."""
        self.readers = (self.tokens, *self.steps.values())

    async def begin(self) -> None:
        """Begin all of them; return when each is in its midst."""
        await self._alice.runs.wait(
            self.tokens.thread_id,
            "slow",
            input=said("My name is Alice"),
            if_not_exists="create",
        )
        await asyncio.gather(
            *(r.begin(PLAN, ["updates", "values"], d) for d, r in self.steps.items())
        )
        waits = self.steps["sync"].thread_id
        await self._alice.runs.create(waits, "steps", input={"steps": 1})
        await self.tokens.begin(said(LONG), ["messages-tuple"], "async")

    async def look_behind(self, url: str) -> None:
        """Read what is stored, by plain SQL."""
        for durability, reader in self.steps.items():
            rows = await checkpoint_rows(url, reader.thread_id)
            self.stored[durability] = rows[-1].values.get("step", 0) if rows else 0

    @property
    def done_again(self) -> dict[str, int]:
        """How many steps that a reader had heard of were done once more, by durability."""
        return {
            durability: len(set(reader.heard[0]).intersection(*reader.heard[1:]))
            for durability, reader in self.steps.items()
        }

    async def conversation(self) -> list[str]:
        """Return what was said where an answer was cut short."""
        return texts(await self.tokens.values())
