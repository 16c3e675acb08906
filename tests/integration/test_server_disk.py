"""A server whose database's disk is full: it says so, and goes on when there is space again."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import uuid4

import pytest

from harness.provision import PostgresServer
from tests.integration.disks import small_database
from tests.integration.serving import Serving

LARGE: Final = {"filler": " ".join(f"{number:x}" for number in range(60_000, 120_000))}
WITHIN_S: Final = 30.0


@pytest.mark.slow
@pytest.mark.invariant(59)
async def test_a_full_disk_is_said_and_outlived(own_postgres_server: PostgresServer) -> None:
    """Writes are 503 with the reason, reads go on, no traceback; a run goes on with the space."""
    async with AsyncExitStack() as stack:
        volume, url = await stack.enter_async_context(small_database(own_postgres_server))
        server = await stack.enter_async_context(Serving(url, HARNESS_LEASE_S="2"))
        client, http = server.client(), server.http()
        thread, large = str(uuid4()), {**LARGE, "steps": 1}
        await client.runs.wait(thread, "steps", input={"steps": 1}, if_not_exists="create")
        item: dict[str, Any] = {"namespace": ["a"], "key": "k", "value": LARGE}
        run = {"assistant_id": "steps", "input": large}
        writes: tuple[tuple[str, str, Any], ...] = (
            ("PUT", "/store/items", item),
            ("POST", "/threads", {"metadata": LARGE}),
            ("PATCH", f"/threads/{thread}", {"metadata": LARGE}),
            ("POST", "/assistants", {"graph_id": "steps", "metadata": LARGE}),
            ("POST", f"/threads/{thread}/runs", run),
            ("POST", f"/threads/{thread}/runs/wait", run),
            ("POST", "/runs/batch", [run]),
        )
        slow: Any = {"steps": 60, "delay_s": 0.05}
        other = str(uuid4())
        begun = await client.runs.create(other, "steps", input=slow, if_not_exists="create")
        with volume.filled():
            for method, path, body in writes:
                answer = await http.request(method, path, json=body)
                assert (answer.status_code, "disk is full" in answer.text) == (503, True), path
            assert (await http.get(f"/threads/{thread}/state")).status_code == 200
            assert (await http.post("/threads/search", json={})).status_code == 200
            async with asyncio.timeout(WITHIN_S):
                while (await client.runs.get(other, begun["run_id"]))["attempt"] < 2:  # type: ignore[typeddict-item]  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        for method, path, body in writes:
            answer = await http.request(method, path, json=body)
            assert answer.status_code in {200, 204}, answer.text
        values: Any = await client.runs.join(other, begun["run_id"])
        assert values["done"] == [*range(1, 61)]
        assert "Traceback" not in server.log()
