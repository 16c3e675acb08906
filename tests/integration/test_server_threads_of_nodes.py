"""What a node's own threads write, which outlive its run and know no context, is fenced as well."""

import asyncio
from itertools import product
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.integration import owners
from tests.integration.serving import Serving
from tests.integration.wholeness import assert_whole

pytest_plugins = ("tests.integration.serving_fixtures",)

SETTINGS = owners.SETTINGS
WITHIN_S = 20.0

pytestmark = [pytest.mark.invariant(52, 53, 61), pytest.mark.slow_in_memory]


THEN: Final = ("run ended", "thread deleted", "made anew", "another owner's")
BY: Final = ("thread", "executor", "pool")
HOW: Final = ("put", "put_writes", "server's put")


async def _let_write(folder: Path) -> str:
    """Let a node's thread write, and return what came of it."""
    (folder / "go").touch()
    async with asyncio.timeout(WITHIN_S):
        while not (folder / "said").exists():  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.005)
    return (folder / "said").read_text()


async def _histories(client: LangGraphClient, thread: str) -> list[Any]:
    history: Any = await client.threads.get_history(thread, limit=100)
    return [(one["checkpoint"]["checkpoint_id"], one["values"].get("kept")) for one in history]


@pytest.mark.parametrize(
    ("then", "by", "how"),
    [
        # Those that always run have every pair.
        pytest.param(then, by, how, marks=pytest.mark.slow if (i + j + k) % 3 else ())
        for (i, then), (j, by), (k, how) in product(*map(enumerate, (THEN, BY, HOW)))
    ],
)
async def test_a_nodes_thread_writes_under_its_runs_lease_alone(
    server: Serving,
    alice: LangGraphClient,
    bob: LangGraphClient,
    tmp_path: Path,
    *,
    then: str,
    by: str,
    how: str,
) -> None:
    """Whatever starts it: after the run, or into another owner's thread, it writes nothing."""
    thread, others = str(uuid4()), str(uuid4())
    given = {"by": by, "how": how, "folder": str(tmp_path)}
    if then == "another owner's":
        await bob.runs.wait(others, "threads", input={}, if_not_exists="create")
        given["to"] = others
    await alice.runs.wait(thread, "threads", input=given, if_not_exists="create")
    reader, read = (bob, others) if then == "another owner's" else (alice, thread)
    if then in {"thread deleted", "made anew"}:
        await alice.threads.delete(thread)
    if then == "made anew":
        await bob.runs.wait(thread, "threads", input={}, if_not_exists="create")
        reader = bob
    before = None if then == "thread deleted" else await _histories(reader, read)
    assert await _let_write(tmp_path) == "LeaseLost"
    if before is None:  # whoever takes the id finds nothing of the old one
        await bob.threads.create(thread_id=thread)
        assert await _histories(bob, thread) == []
    else:
        assert await _histories(reader, read) == before
    if server.database_url is not None:
        await assert_whole(server.database_url)
