"""What the server tells Prometheus of its pool, asked of running servers."""

from prometheus_client.parser import text_string_to_metric_families

from harness.database import ScratchDatabases
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)

POOL = {
    "harness_pool_size",
    "harness_pool_in_use",
    "harness_pool_waiting",
    "harness_pool_busy_seconds_total",
    "harness_pool_waiting_seconds_total",
    "harness_pool_checkouts_total",
}


async def told(server: Serving) -> dict[str, float]:
    """The samples that bear no labels, by name."""
    text = (await server.http().get("/metrics")).text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


async def test_the_pool_is_counted(server: Serving, scratch: ScratchDatabases | None) -> None:
    """A create is one checkout, which takes time; in memory there is no pool to tell of."""
    client = server.client()
    before = await told(server)
    if scratch is None:
        assert not POOL & set(before)
        return
    await client.threads.create()
    after = await told(server)
    assert set(after) >= POOL
    assert after["harness_pool_size"] == 10
    assert after["harness_pool_in_use"] == after["harness_pool_waiting"] == 0
    for name in ("checkouts_total", "busy_seconds_total", "waiting_seconds_total"):
        assert after[f"harness_pool_{name}"] > before[f"harness_pool_{name}"]
