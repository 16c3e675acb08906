"""What the server tells about itself, without a token."""

from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.agents import GRAPHS
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)


@pytest.fixture
def persistence(server: Serving) -> str:
    """What the server said that it stores in."""
    return "postgres" if "(Postgres)" in server.announced else "memory"


async def test_health(server: Serving, persistence: str) -> None:
    """The kind of persistence, that it can be reached, and the state of the pool."""
    async with server.http() as http:
        assert (await http.get("/ok")).json() == {"ok": True}
        answer = await http.get("/health")
    found = answer.json()
    assert (answer.status_code, found["status"], found["detail"]) == (200, "ok", None)
    assert found["persistence"] == persistence
    assert (found["pool"] is not None) is (persistence == "postgres")


async def test_info(server: Serving, persistence: str) -> None:
    """Versions, graphs and persistence."""
    async with server.http() as http:
        found = (await http.get("/info")).json()
    assert found["persistence"] == persistence
    assert found["version"]
    assert found["langgraph_version"]
    assert {*GRAPHS} <= {*found["graphs"]}


async def test_metrics(server: Serving, persistence: str) -> None:
    """Requests, runs and streams are counted, and the pool's connections told."""
    async with server.http() as http:
        await server.client().runs.wait(str(uuid4()), "steps", input={}, if_not_exists="create")
        answer = await http.get("/metrics")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    wait = "/threads/{thread_id}/runs/wait"
    assert samples["harness_requests_total", "POST", wait, "200"] >= 1
    assert samples["harness_request_seconds_count", "POST", wait] >= 1
    assert samples["harness_runs_total", "success"] >= 1
    assert {("harness_open_streams",), ("harness_running_runs",)} <= {*samples}
    pool_max = samples.get(("harness_pool_size",))
    assert pool_max == (10 if persistence == "postgres" else None)
