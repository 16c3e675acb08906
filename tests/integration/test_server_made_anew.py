"""A thread that is deleted, and its id taken by another owner, while it is being read."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError

from tests.integration import owners
from tests.integration.owners import client_of, token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS

SECRET: Final = "what the new owner said"  # noqa: S105 -- no password
WITHIN_S: Final = 20.0


class Reader:
    """An owner whose reads wait at the gate of the graph `gated`."""

    def __init__(self, server: Serving, gate: Path) -> None:
        self.client: LangGraphClient = client_of(server, gate.name)
        self.http: httpx.AsyncClient = server.http(token_of(gate.name))
        self.thread, self.run, self.checkpoint = str(uuid4()), "", ""
        self._gate = gate

    async def begin(self) -> None:
        """Have a run end on a thread, and shut the gate."""
        await self.client.runs.wait(
            self.thread, "gated", input={"said": "mine"}, if_not_exists="create"
        )
        [run] = await self.client.runs.list(self.thread)
        self.run = run["run_id"]
        state = await self.client.threads.get_state(self.thread)
        self.checkpoint = str(state["checkpoint"]["checkpoint_id"])
        await asyncio.to_thread(self._gate.mkdir)

    async def at_the_gate(self) -> None:
        """Wait until a read has come to the gate."""
        async with asyncio.timeout(WITHIN_S):
            while not (self._gate / "reached").exists():  # noqa: ASYNC110 -- another process makes it
                await asyncio.sleep(0.005)

    def go_on(self) -> None:
        """Open the gate."""
        (self._gate / "open").touch()


@pytest_asyncio.fixture
async def reader(server: Serving) -> AsyncIterator[Reader]:
    """One whose thread has a state."""
    gate = Path(tempfile.gettempdir()) / f"gate-{uuid4()}"
    try:
        found = Reader(server, gate)
        await found.begin()
        yield found
    finally:
        await asyncio.to_thread(shutil.rmtree, gate, ignore_errors=True)


READS: Final[dict[str, Callable[[Reader], Awaitable[Any]]]] = {
    "state": lambda r: r.client.threads.get_state(r.thread),
    "state with subgraphs": lambda r: r.client.threads.get_state(r.thread, subgraphs=True),
    "state at a checkpoint": lambda r: r.client.threads.get_state(
        r.thread, checkpoint_id=r.checkpoint
    ),
    "state of a namespace": lambda r: r.client.threads.get_state(
        r.thread,
        checkpoint={
            "thread_id": r.thread,
            "checkpoint_ns": "",
            "checkpoint_id": None,
            "checkpoint_map": None,
        },
    ),
    "history": lambda r: r.client.threads.get_history(r.thread),
    "history by GET": lambda r: r.http.get(f"/threads/{r.thread}/history"),
    "history before": lambda r: r.client.threads.get_history(r.thread, before=r.checkpoint),
    "copy": lambda r: r.client.threads.copy(r.thread),
    "join": lambda r: r.client.runs.join(r.thread, r.run),
}


async def _answer(read: Awaitable[Any]) -> str:
    """Return all that an answer says, be it an error."""
    try:
        said = await read
    except APIStatusError as exc:
        return str(exc)
    return said.text if isinstance(said, httpx.Response) else json.dumps(said)


@pytest.mark.invariant(52, 53, 61)
@pytest.mark.parametrize("read", READS)
async def test_who_read_the_old_thread_sees_nothing_of_the_new(
    reader: Reader, bob: LangGraphClient, read: str
) -> None:
    """The answer is the old thread's or says that it is gone, whichever route is asked."""

    async def take() -> None:
        await reader.client.threads.delete(reader.thread)
        await bob.threads.create(thread_id=reader.thread)
        await bob.runs.wait(reader.thread, "gated", input={"said": SECRET})

    asked = asyncio.create_task(_answer(READS[read](reader)))
    await reader.at_the_gate()
    taking = asyncio.create_task(take())
    if read == "copy":  # on Postgres it holds the thread, so that the deletion waits
        await asyncio.wait({taking}, timeout=0.3)
    else:
        await asyncio.wait_for(taking, WITHIN_S)
    reader.go_on()
    said = await asked
    await taking
    assert SECRET not in said
    state: Any = await bob.threads.get_state(reader.thread)
    assert state["values"] == {"said": SECRET}
    with pytest.raises(APIStatusError):
        await reader.client.threads.get(reader.thread)
