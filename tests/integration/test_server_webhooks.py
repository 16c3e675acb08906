"""Webhooks: what is told of a run's end, when it is told again, and what is refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient

from harness.config import ServerConfig
from harness.errors import InvalidInput
from harness.models import Run
from harness.server.execution.identity import STORED_USER
from harness.server.execution.outcomes import Outcome
from harness.server.metrics import Metrics
from harness.server.webhooks import Webhooks, payload_of
from tests.integration.fields.receiver import Receiver, receiving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = [pytest.mark.invariant(55), pytest.mark.slow_in_memory]

FIELDS = {
    *("run_id", "thread_id", "assistant_id", "created_at", "updated_at", "metadata", "status"),
    *("kwargs", "multitask_strategy", "attempt", "values", "error", "webhook_sent_at"),
}
SLOW = {"steps": 1_000, "delay_s": 0.05}


async def told(receiver: Receiver) -> Any:
    """Return the next thing that arrives."""
    async with asyncio.timeout(20):
        return await receiver.received.get()


async def test_each_way_to_end_is_told(client: LangGraphClient) -> None:
    """Success, an error, a question, a cancelled run under way or still queued: each once."""
    small: Any = {"recursion_limit": 1}
    async with receiving() as receiver:
        hook: Any = {"webhook": receiver.url, "if_not_exists": "create"}
        await client.runs.wait(str(uuid4()), "told", input={"text": "x"}, **hook)
        done = await told(receiver)
        assert done.keys() >= FIELDS
        assert (done["status"], done["error"]) == ("success", None)
        assert done["values"]["trace"] == ["first", "second"]
        assert done["kwargs"]["webhook"] == receiver.url
        await client.runs.wait(
            str(uuid4()), "told", input={"text": ""}, config=small, raise_error=False, **hook
        )
        failed = await told(receiver)
        assert (failed["status"], failed["error"]["error"]) == ("error", "GraphRecursionError")
        await client.runs.wait(str(uuid4()), "told", input={"asks": True}, **hook)
        asked = await told(receiver)
        assert (asked["status"], len(asked["values"]["__interrupt__"])) == ("success", 1)
        thread_id = str(uuid4())
        under_way, queued = [
            await client.runs.create(thread_id, "steps", input=SLOW, **hook) for _ in range(2)
        ]
        for run in (queued, under_way):
            await client.runs.cancel(thread_id, run["run_id"], wait=True)
            ended = await told(receiver)
            assert (ended["run_id"], ended["status"]) == (run["run_id"], "interrupted")
        assert receiver.received.empty()


async def test_a_temporary_thread_is_gone_when_it_is_told(client: LangGraphClient) -> None:
    """The end of a stateless run is told like another."""
    async with receiving() as receiver:
        await client.runs.wait(None, "told", input={"text": "x"}, webhook=receiver.url)
        assert (await told(receiver))["values"]["text"] == "x"


def a_run(url: str, owner: str = "ada") -> Run:
    """Return a run of an owner that asks for a webhook."""
    now = datetime.now(UTC)
    return Run(
        run_id=str(uuid4()),
        thread_id=str(uuid4()),
        assistant_id=str(uuid4()),
        status="running",
        kwargs={"webhook": url},
        metadata={"owner": owner},
        multitask_strategy="enqueue",
        attempt=1,
        error=None,
        due_at=now,
        created_at=now,
        updated_at=now,
    )


@asynccontextmanager
async def delivering(
    timeout_s: float = 10.0, **settings: Any
) -> AsyncIterator[tuple[Webhooks, Metrics]]:
    """Deliver from this process."""
    metrics = Metrics()
    webhooks = Webhooks(ServerConfig(**settings), metrics, timeout_s=timeout_s)
    try:
        yield webhooks, metrics
    finally:
        await webhooks.stop(0)


def test_who_called_is_not_told() -> None:
    """What is stored of the caller with a run goes to no other server."""
    run = a_run("http://127.0.0.1/")
    told_of = replace(run, kwargs={**run.kwargs, STORED_USER: {"token": "secret"}})
    assert "secret" not in str(payload_of(told_of, SUCCESS))


SUCCESS = Outcome(status="success", values={"a": 1})


async def test_what_may_pass_is_tried_again() -> None:
    """After a status of 500 or more, 408, 425 or 429 the same is sent again, until it arrives."""
    async with receiving(500, 429, 200) as receiver, delivering() as (webhooks, metrics):
        webhooks.run_ended(a_run(receiver.url), SUCCESS)
        first, *rest = [await told(receiver) for _ in range(3)]
        for again in rest:
            assert {**again, "webhook_sent_at": ""} == {**first, "webhook_sent_at": ""}
            assert again["webhook_sent_at"] > first["webhook_sent_at"]
        await webhooks.stop(5)
        assert 'harness_webhooks_total{outcome="delivered"} 1.0' in metrics.text()


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
async def test_what_is_wrong_is_told_once(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Other refusals are final, no redirect is followed, and the log says which run it was."""
    async with receiving(status) as receiver, delivering() as (webhooks, metrics):
        run = a_run(receiver.url)
        webhooks.run_ended(run, SUCCESS)
        await told(receiver)
        await webhooks.stop(5)
        assert receiver.received.empty()
        assert 'harness_webhooks_total{outcome="failed"} 1.0' in metrics.text()
    assert run.run_id in caplog.text


async def test_what_is_under_way_at_the_end_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A delivery that the end of the process cuts off is logged as lost, within the grace."""
    async with receiving(503) as receiver, delivering() as (webhooks, metrics):
        run = a_run(receiver.url)
        webhooks.run_ended(run, SUCCESS)
        await told(receiver)
        async with asyncio.timeout(5):
            await webhooks.stop(0.05)
        assert 'harness_webhooks_total{outcome="lost"} 1.0' in metrics.text()
    assert f"the webhook of run {run.run_id} was lost" in caplog.text


async def test_many_at_once_all_arrive() -> None:
    """Deliveries beyond those that go at once wait their turn, and a dead address stops none."""
    async with receiving() as receiver, delivering() as (webhooks, _):
        for n in range(40):
            webhooks.run_ended(a_run("http://127.0.0.1:9/" if n % 4 else receiver.url), SUCCESS)
        assert len({(await told(receiver))["run_id"] for _ in range(10)}) == 10


@asynccontextmanager
async def dripping(part: bytes) -> AsyncIterator[tuple[str, asyncio.Queue[None]]]:
    """Listen where each answer goes on and on; return the address, and what says who has called."""
    called = asyncio.Queue[None]()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            called.put_nowait(None)
            while not writer.is_closing():
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", called
    finally:
        server.close()


async def test_an_answer_that_never_ends_is_given_up() -> None:
    """Each attempt ends in time, however often something of its answer arrives; then the next."""

    async def is_called_again(part: bytes) -> None:
        async with dripping(part) as (url, called), delivering(timeout_s=0.2) as (webhooks, _):
            webhooks.run_ended(a_run(url), SUCCESS)
            for _attempt in range(2):
                await called.get()

    async with asyncio.timeout(20):
        parts = (b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        await asyncio.gather(*map(is_called_again, parts))


async def test_one_owner_holds_up_nobody_else() -> None:
    """Of what is sent at once and of what is pending each owner has half of what others leave."""
    async with (
        dripping(b"") as (url, called),
        receiving() as receiver,
        delivering(timeout_s=600, jwt_secret="x" * 32) as (webhooks, metrics),
    ):
        for owner, most in (("ada", 500), ("eve", 250)):
            for _ in range(most + 3):
                webhooks.run_ended(a_run(url, owner), SUCCESS)
        async with asyncio.timeout(20):
            for _ in range(4 + 2):
                await called.get()
        webhooks.run_ended(a_run(receiver.url, "bob"), SUCCESS)
        await told(receiver)
        assert called.empty()
        assert 'harness_webhooks_total{outcome="dropped"} 6.0' in metrics.text()


@pytest.mark.parametrize(
    ("hosts", "url", "allowed"),
    [
        (None, "http://169.254.169.254/latest", True),
        (frozenset(), "https://example.com/", False),
        (frozenset({"example.com"}), "https://EXAMPLE.com:8443/hook?x=1", True),
        (frozenset({"example.com"}), "https://example.com.evil.net/", False),
        (frozenset({"example.com"}), "https://example.com@evil.net/", False),
        (frozenset({"example.com"}), "http://127.0.0.1/", False),
    ],
)
async def test_only_allowed_hosts_are_called(
    hosts: frozenset[str] | None, url: str, allowed: bool
) -> None:
    """With a list of hosts an address of another is refused, however it is written."""
    async with delivering(webhook_hosts=hosts) as (webhooks, _):
        if allowed:
            webhooks.check(url)
        else:
            with pytest.raises(InvalidInput, match="calls no host"):
                webhooks.check(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "/relative", "relative", "//host/path", "ftp://host/", "file:///etc/passwd"),
        *("http://", "http://host:port/", "http://host/ space", "http://ho\nst/"),
        "http://host/" + "x" * 2_000,
    ],
)
async def test_what_is_no_address_is_refused(url: str) -> None:
    """An address is absolute, over http or https, and of a reasonable length."""
    async with delivering() as (webhooks, _):
        with pytest.raises(InvalidInput, match="webhook"):
            webhooks.check(url)
