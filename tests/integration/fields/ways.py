"""The seven ways to begin a run, each by the SDK's own method where that can say what is asked."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

from langgraph_sdk._async.runs import RunsClient

from tests.integration.fields.registry import RENAMED, Client, effect

How = Literal["create", "wait", "stream", "create_batch"]


@dataclass(frozen=True, slots=True)
class Way:
    """How a run is begun: by which method, and on which route."""

    how: How
    route: str
    has_thread: bool

    @property
    def operation(self) -> str:
        """The SDK's name of it."""
        return f"runs.{self.how}"


WAYS: Final = (
    Way("create", "POST /threads/{thread_id}/runs", True),
    Way("wait", "POST /threads/{thread_id}/runs/wait", True),
    Way("stream", "POST /threads/{thread_id}/runs/stream", True),
    Way("create", "POST /runs", False),
    Way("wait", "POST /runs/wait", False),
    Way("stream", "POST /runs/stream", False),
    Way("create_batch", "POST /runs/batch", False),
)
ON_THREADS: Final = tuple(way for way in WAYS if way.has_thread)
HEARD: Final = tuple(way for way in WAYS if way.how in ("wait", "stream"))
WayCheck = Callable[[Client, Way], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has ended."""

    run: Any
    values: Any


def run_field(*fields: str, ways: tuple[Way, ...] = WAYS) -> Callable[[WayCheck], WayCheck]:
    """Register a check of fields of a run's body for ways to begin one, all at once."""

    def register(check: WayCheck) -> WayCheck:
        async def of_all(client: Client) -> None:
            await asyncio.gather(*(check(client, way) for way in ways))

        of_all.__name__, of_all.__module__ = check.__name__, check.__module__
        prefixed = [f"runs.{field}" for field in fields]
        for way in ways:
            effect(way.route, *(prefixed if way.how == "create_batch" else fields))(of_all)
            if way.how != "create_batch":
                known = inspect.signature(getattr(RunsClient, way.how)).parameters
                effect(way.operation, *({_of_sdk(one) for one in fields} & known.keys()))(of_all)
        return check

    return register


async def go(
    client: Client,
    way: Way,
    graph: str = "told",
    *,
    thread_id: str | None = None,
    **fields: Any,
) -> Ended:
    """Begin a run of a graph, and return it with its thread's values once it has ended.

    Raises:
        APIStatusError: It was refused.
    """
    if way.has_thread:
        thread_id = thread_id or str(uuid4())
        fields = {"if_not_exists": "create", **fields}
    else:
        fields = {"on_completion": "keep", **fields}
    thread_id, run_id = await sent(client, way, graph, thread_id, fields)
    values: Any = await client.runs.join(thread_id, run_id)
    return Ended(run=await client.runs.get(thread_id, run_id), values=values)


async def sent(
    client: Client, way: Way, graph: str, thread_id: str | None, fields: dict[str, Any]
) -> tuple[str, str]:
    """Send a run's body, by the SDK where its method can say it; return its thread and its id.

    What is streamed or waited for has ended then.
    """
    named = {_of_sdk(name): value for name, value in fields.items()}
    if way.how != "create_batch" and (way.has_thread or way.how != "stream"):
        method = getattr(client.runs, way.how)
        if named.keys() <= inspect.signature(method).parameters.keys():
            return await _by_sdk(client, way, graph, thread_id, named)
    path = way.route.partition(" ")[2].replace("{thread_id}", thread_id or "")
    body: Any = {"assistant_id": graph, **fields}
    http = client.http.client
    answer = await http.post(path, json=[body] if way.how == "create_batch" else body)
    if answer.is_error:
        raise Refused(answer.status_code, answer.text)
    if way.how == "create_batch":
        [run] = answer.json()
        return run["thread_id"], run["run_id"]
    if way.how == "create":
        return answer.json()["thread_id"], answer.json()["run_id"]
    _, _, found_thread, _, run_id, *_ = answer.headers["location"].split("/")
    return found_thread, run_id


async def _by_sdk(
    client: Client, way: Way, graph: str, thread_id: str | None, named: dict[str, Any]
) -> tuple[str, str]:
    created: list[Any] = []
    if way.how == "create":
        run: Any = await client.runs.create(thread_id, graph, **named)
        return run["thread_id"], run["run_id"]
    if way.how == "stream":
        stream: Any = client.runs.stream(thread_id, graph, on_run_created=created.append, **named)
        async for _ in stream:
            pass
    else:
        wait: Any = client.runs.wait
        more: Any = {"on_run_created": created.append, "raise_error": False}
        await wait(thread_id, graph, **more, **named)
    [made] = created
    return made["thread_id"], made["run_id"]


class Refused(Exception):
    """What is asked for is refused, where the SDK has no method to ask for it."""

    def __init__(self, status_code: int, text: str) -> None:
        super().__init__(f"{status_code}: {text}")
        self.status_code = status_code


async def refused(work: Awaitable[Any]) -> int:
    """Return the status with which a request is refused."""
    try:
        answer = await work
    except Exception as exc:  # noqa: BLE001 -- the SDK has several, and httpx
        response: Any = getattr(exc, "response", exc)
        return int(response.status_code)
    raise AssertionError(f"it was not refused, but answered {answer!r}")


def _of_sdk(field: str) -> str:
    back = {body: parameter for parameter, body in RENAMED.items()}
    return back.get(field, field)
