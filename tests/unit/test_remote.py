"""What a storage over HTTP refuses by itself: whatever would reach the server as something else."""

import math
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from harness.errors import DatabaseUnavailable, InvalidInput
from harness.storage.remote import RemoteStorage

Call = Callable[[RemoteStorage], Awaitable[Any]]
ID = str(uuid4())

REFUSED: dict[str, Call] = {
    "headers": lambda s: s.runs.create(ID, ID, kwargs={"headers": {"X": "1"}}, owner="a"),
    "params": lambda s: s.crons.update(ID, payload={"params": {"x": 1}}, owner="a"),
    "metadata twice": lambda s: s.runs.create(ID, ID, kwargs={"metadata": {}}, owner="a"),
    "unknown": lambda s: s.runs.create(ID, ID, kwargs={"x": 1}, run_id=ID, owner="a"),
    "another path": lambda s: s.threads.get("", owner="a"),
    "all of them": lambda s: s.assistants.search(graph_id="", owner="a"),
    "NaN": lambda s: s.threads.create(metadata={"x": [math.nan]}, owner="a"),
    "a set": lambda s: s.items.put_item(("n",), "k", {"x": {1}}, owner="a"),
    "a key of a number": lambda s: s.threads.search(values={"x": {1: 2}}, owner="a"),
    "an empty list": lambda s: s.threads.search(metadata=[], owner="a"),  # type: ignore[arg-type]  # wrong on purpose
    "a number as text": lambda s: s.runs.list(ID, limit="5", owner="a"),  # type: ignore[arg-type]  # likewise
    "nobody": lambda s: s.threads.count(owner=""),
}
SENT: dict[str, Call] = {
    "a path": lambda s: s.threads.get("../runs", owner="a"),
    "no ids": lambda s: s.threads.search(ids=[], owner="a"),
    "an id of a run": lambda s: s.runs.create(ID, ID, run_id=ID, owner="a"),
    "what a run is to do": lambda s: s.runs.create(ID, ID, kwargs={"input": {"x": 1}}, owner="a"),
}
"""What is the server's to judge."""


@pytest.fixture
def storage() -> RemoteStorage:
    """A storage without a server: what it sends does not arrive."""
    return RemoteStorage("http://127.0.0.1:1")


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_not_sent(storage: RemoteStorage, call: Call) -> None:
    """What the SDK would change, or leave out unnoticed, is told before anything is sent."""
    with pytest.raises(InvalidInput):
        await call(storage)


@pytest.mark.parametrize("call", SENT.values(), ids=SENT)
async def test_what_is_not_refused_is_sent(storage: RemoteStorage, call: Call) -> None:
    """The control: everything else goes to the server, which is not there."""
    with pytest.raises(DatabaseUnavailable):
        await call(storage)
