"""What must hold where two owners want the same: ids, and the right to write."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS


@pytest.mark.invariant(11)
@pytest.mark.parametrize("if_exists", ["raise", "do_nothing"])
async def test_an_id_that_another_holds_is_a_conflict(
    alice: LangGraphClient, bob: LangGraphClient, if_exists: Any
) -> None:
    """For assistants and threads, whatever is asked for; and what was there stays as it was."""
    key = str(uuid4())
    assistant = await alice.assistants.create("agent", assistant_id=key, name="hers")
    thread = await alice.threads.create(thread_id=key, metadata={"whose": "hers"})
    for call in (
        bob.assistants.create("memory", assistant_id=key, if_exists=if_exists),
        bob.threads.create(thread_id=key, metadata={"whose": "his"}, if_exists=if_exists),
    ):
        with pytest.raises(ConflictError):
            await call
    assert await alice.assistants.get(key) == assistant
    assert await alice.threads.get(key) == thread


@pytest.mark.invariant(10, 11)
async def test_nobody_runs_on_anothers_thread(
    server: Serving, alice: LangGraphClient, bob: LangGraphClient
) -> None:
    """Not with `create` either: it makes the caller's thread, or none."""
    key = (await alice.threads.create())["thread_id"]
    http = server.http(token_of("bob"))
    for how in ("", "/wait", "/stream"):
        for more, status in (({}, 404), ({"if_not_exists": "create"}, 409)):
            body = {"assistant_id": "agent", "input": {}, **more}
            answer = await http.post(f"/threads/{key}/runs{how}", json=body)
            assert answer.status_code == status, answer.text
    assert await alice.runs.list(key) == []
    with pytest.raises(NotFoundError):
        await bob.threads.get(key)


@pytest.mark.invariant(11)
async def test_of_concurrent_creators_one_wins(
    alice: LangGraphClient, bob: LangGraphClient
) -> None:
    """Two owners who want one id at once: all of the one's calls succeed, all others conflict."""
    key = str(uuid4())
    answers: list[Any] = await asyncio.gather(
        *(
            each.threads.create(thread_id=key, if_exists="do_nothing")
            for _ in range(10)
            for each in (alice, bob)
        ),
        return_exceptions=True,
    )
    made = [answer for answer in answers if isinstance(answer, dict)]
    assert len(made) == 10
    assert len({thread["metadata"]["owner"] for thread in made}) == 1
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 10
