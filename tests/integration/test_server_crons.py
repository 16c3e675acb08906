"""Crons over HTTP: what the official client sends, and what it is answered."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)

YEARLY = "0 4 1 1 *"


async def a_cron(client: LangGraphClient, assistant: str = "agent", **given: Any) -> Any:
    """Create a cron that is not due while a test runs; the SDK says it is a run."""
    return await client.crons.create(assistant, **{"schedule": YEARLY, **given})


@pytest.mark.invariant(33)
async def test_what_a_new_one_is(client: LangGraphClient) -> None:
    """The official server's fields and defaults; a graph's name stands for its assistant."""
    made = await a_cron(
        client,
        input={"messages": [], "nothing": None},
        metadata={"a": 1},
        stream_mode="values",
        interrupt_before="*",
    )
    assert made.pop("created_at") == made.pop("updated_at")
    assert made.pop("next_run_date").endswith("-01-01T04:00:00+00:00")
    assert made.pop("cron_id")
    assert made == {
        "assistant_id": "fe096781-5601-53d2-b2f6-0d3403f7e9ca",
        "thread_id": None,
        "user_id": None,
        "schedule": YEARLY,
        "timezone": None,
        "end_time": None,
        "enabled": True,
        "on_run_completed": "delete",
        "metadata": {"a": 1, "owner": "anybody"},
        "payload": {
            "input": {"messages": [], "nothing": None},
            "metadata": {"a": 1},
            "stream_mode": ["values"],
            "interrupt_before": "*",
        },
    }


async def test_of_a_thread_that_is_not_there(client: LangGraphClient) -> None:
    """It is not made, and neither is the cron."""
    missing = str(uuid4())
    with pytest.raises(NotFoundError):
        await client.crons.create_for_thread(missing, "agent", schedule=YEARLY)
    assert await client.crons.count(thread_id=missing) == 0


async def test_update(client: LangGraphClient) -> None:
    """What is given changes; metadata and the payload's fields merge; an end can be taken back."""
    made = await a_cron(client, input={"n": 1}, context={"c": 1}, metadata={"a": 1, "b": 1})
    until = datetime.now(UTC) + timedelta(days=4_000)
    updated = await client.crons.update(
        made["cron_id"],
        schedule="30 5 * * 1",
        timezone="Europe/Zurich",
        end_time=until,
        input={"n": 2},
        metadata={"b": 2},
        enabled=False,
        on_run_completed="keep",
    )
    assert (updated["schedule"], updated["timezone"]) == ("30 5 * * 1", "Europe/Zurich")
    assert datetime.fromisoformat(str(updated["end_time"])) == until
    assert (updated["enabled"], updated["on_run_completed"]) == (False, "keep")
    assert updated["metadata"] == {"a": 1, "b": 2, "owner": "anybody"}
    assert updated["payload"] == {"input": {"n": 2}, "context": {"c": 1}, "metadata": {"b": 2}}
    kept = await client.crons.update(made["cron_id"], enabled=True)
    assert (kept["end_time"], kept["enabled"]) == (updated["end_time"], True)
    assert (await client.crons.update(made["cron_id"], end_time=None))["end_time"] is None


@pytest.mark.invariant(37)
async def test_search_count_and_delete(client: LangGraphClient, server: Serving) -> None:
    """Newest first, by what is asked for, with the true total; what is deleted is gone."""
    mark = {"mark": str(uuid4())}
    made = [await a_cron(client, metadata=mark, enabled=bool(n % 2)) for n in range(3)]
    found = await client.crons.search(metadata=mark)
    assert found == made[::-1]
    assert await client.crons.count(metadata=mark) == 3
    agent = made[0]["assistant_id"]
    off = await client.crons.search(assistant_id=agent, metadata=mark, enabled=False)
    assert off == [made[2], made[0]]
    page = await server.http().post(
        "/runs/crons/search",
        json={"metadata": mark, "limit": 2, "sort_order": "asc", "select": ["cron_id", "now"]},
    )
    assert page.json() == [{"cron_id": one["cron_id"]} for one in made[:2]]
    assert page.headers["X-Pagination-Total"] == "3"
    assert page.headers["X-Pagination-Next"] == "2"
    await client.crons.delete(made[0]["cron_id"])
    assert await client.crons.count(metadata=mark) == 2
    for call in (
        client.crons.delete(made[0]["cron_id"]),
        client.crons.update(made[0]["cron_id"], enabled=True),
    ):
        with pytest.raises(NotFoundError):
            await call


async def test_what_is_refused(client: LangGraphClient) -> None:
    """A wrong schedule, zone, time or word is, and an assistant that is not there not found."""
    with pytest.raises(NotFoundError):
        await a_cron(client, str(uuid4()))
    for wrong in (
        {"schedule": "every day"},
        {"schedule": "0 0 30 2 *"},
        {"timezone": "Moon/Sea"},
        {"end_time": datetime(2040, 1, 1)},  # noqa: DTZ001 -- without a timezone, on purpose
        {"durability": "for ever"},
        {"stream_mode": "whispers"},
        {"metadata": {"owner": "somebody"}},
    ):
        with pytest.raises(UnprocessableEntityError):
            await a_cron(client, **wrong)
    with pytest.raises(UnprocessableEntityError):
        await a_cron(client, "no-such-graph")
    with pytest.raises(UnprocessableEntityError):
        await client.crons.search(assistant_id="agent")
