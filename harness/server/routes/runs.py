"""Runs on threads: created, listened to, awaited, cancelled, deleted."""

from collections.abc import AsyncGenerator
from typing import Any, Final, Literal, get_args

from pydantic import Field, field_validator

from harness.errors import NotFound
from harness.models import TERMINAL, Run, RunStatus
from harness.server.access.restricting import leaves
from harness.server.execution.channel import Channel, key_of
from harness.server.failures import HttpError
from harness.server.http import Call, Nothing, Reply, Route, Schema, StreamReply
from harness.server.routes import starting
from harness.server.routes.run_bodies import BackgroundBody, RunBody
from harness.server.routes.run_shapes import RunShape
from harness.server.routes.starting import path_of, shown
from harness.server.sse import HEARTBEAT, events_text

Action = Literal["interrupt", "rollback"]


class ListQuery(Schema):
    """Which runs of a thread."""

    limit: int = Field(default=10, ge=0, le=1_000)
    offset: int = Field(default=0, ge=0)
    status: str | None = None
    """A status that there is not finds nothing."""
    select: list[str] | None = None
    """Fields to show; all by default."""


class CancelQuery(Schema):
    """How to cancel."""

    wait: bool = False
    """Answer when the run has stopped."""
    action: Action = "interrupt"
    """`rollback` removes the run and what it did."""


class CancelManyQuery(Schema):
    """How to cancel."""

    action: Action = "interrupt"


class CancelManyBody(Schema):
    """Which runs to cancel: those of a thread by id, or all of a status."""

    thread_id: str | None = None
    run_ids: list[str] | None = None
    status: Literal["pending", "running", "all"] | None = None


class JoinQuery(Schema):
    """How to listen."""

    cancel_on_disconnect: bool = False
    stream_mode: list[str] | None = None
    """Of the modes that the run has; by default all."""

    @field_validator("stream_mode", mode="after")
    @classmethod
    def _named(cls, given: list[str] | None) -> list[str] | None:
        return [mode for mode in given or () if mode] or None


class FollowQuery(Schema):
    """What to hear of a thread."""

    stream_mode: tuple[Literal["run_modes", "lifecycle", "state_update"], ...] = ("run_modes",)
    """All that its runs stream, only that they begin and end, or that and the values."""


_FOLLOWED: Final[dict[str, tuple[str, ...] | None]] = {
    "run_modes": None,
    "lifecycle": (),
    "state_update": ("values",),
}


async def create(call: Call[BackgroundBody, Nothing]) -> Reply:
    """Create a run, which is executed in the background."""
    run = await starting.create(call, call.body, call.path["thread_id"])
    return Reply(body=shown(run), headers={"Content-Location": path_of(run)})


async def wait(call: Call[RunBody, Nothing]) -> Reply | StreamReply:
    """Create a run and answer with the values that it leaves."""
    return await starting.waited(call, call.body, call.path["thread_id"])


async def stream(call: Call[RunBody, Nothing]) -> StreamReply:
    """Create a run and stream its events."""
    return await starting.streamed(call, call.body, call.path["thread_id"])


async def search(call: Call[Nothing, ListQuery]) -> Reply:
    """List a thread's runs, newest first."""
    query, thread_id = call.query, call.path["thread_id"]
    status: RunStatus | None = None
    if query.status is not None:
        if query.status not in get_args(RunStatus):
            await call.services.storage.threads.get(thread_id, owner=call.owner)
            return Reply(body=[])
        status = query.status  # type: ignore[assignment]  # it is one of them
    found = await call.services.storage.runs.list(
        thread_id, limit=query.limit, offset=query.offset, status=status, owner=call.owner
    )
    rows = [shown(run) for run in found]
    if query.select:
        rows = [{name: row[name] for name in query.select if name in row} for row in rows]
    return Reply(body=rows)


async def get(call: Call[Nothing, Nothing]) -> Reply:
    """Get a run."""
    return Reply(body=shown(await _run_of(call)))


async def delete(call: Call[Nothing, Nothing]) -> Reply:
    """Delete a run with its checkpoints; one that has not ended is stopped first."""
    await call.services.executor.stopper.delete(await _run_of(call), owner=call.owner)
    return Reply(status=204)


async def join(call: Call[Nothing, Nothing]) -> Reply | StreamReply:
    """Answer with the values that a run leaves, once it has ended."""
    try:
        run = await _run_of(call)
    except NotFound:
        told = {"error": "HTTPException", "message": "404: Run not found"}
        return Reply(body={"__error__": told})
    if run.status in TERMINAL:
        return await starting.already_ended(call, run)
    channel = _channel_of(call, run)
    return await starting.when_ended(call, run, channel, cancel=False)


async def join_stream(call: Call[Nothing, JoinQuery]) -> StreamReply:
    """Stream a run's events: from the beginning, or after `Last-Event-ID`.

    The events of a run that has ended can be had for two minutes, if it is resumable.
    """
    last_id = call.headers.get("last-event-id")
    after = None if last_id is None else key_of(last_id)
    slot = call.services.streams.reserve(call.owner)
    try:
        run = await _run_of(call)
        if run.status in TERMINAL:
            found = call.services.executor.broker.find(run.run_id, owner=call.owner)
            channel = found or Channel.ended_of(run)
        else:
            channel = _channel_of(call, run)
    except BaseException:
        slot.release()
        raise
    return starting.heard(
        call,
        run,
        events_text(channel.read(after), modes=call.query.stream_mode),
        slot,
        cancel=call.query.cancel_on_disconnect,
    )


async def follow(call: Call[Nothing, FollowQuery]) -> StreamReply:
    """Stream the events of all of a thread's runs, from now on or after `Last-Event-ID`."""
    thread_id, services = call.path["thread_id"], call.services
    last_id = call.headers.get("last-event-id")
    after = None if last_id is None else key_of(last_id)
    slot = services.streams.reserve(call.owner)
    try:
        thread = await services.storage.threads.get(thread_id, owner=call.owner)
    except BaseException:
        slot.release()
        raise

    async def events() -> AsyncGenerator[str, None]:
        modes = _FOLLOWED[call.query.stream_mode[-1]]
        with services.executor.followers.following(thread.thread_id, owner=call.owner) as channel:
            reader = channel.read(after or channel.newest)
            async for text in events_text(reader, modes=modes):
                yield text

    path = f"/threads/{thread.thread_id}/stream"
    pieces = slot.stream(events(), heartbeat=HEARTBEAT)
    return StreamReply(pieces=pieces, headers={"Content-Location": path, "Location": path})


async def cancel(call: Call[Nothing, CancelQuery]) -> Reply:
    """Cancel a run that has not ended."""
    run = await _run_of(call)
    query = call.query
    await call.services.executor.stopper.cancel(
        run, rollback=query.action == "rollback", wait=query.wait, owner=call.owner
    )
    return Reply(body={}, status=200 if query.wait else 202)


async def cancel_many(call: Call[CancelManyBody, CancelManyQuery]) -> Reply:
    """Cancel runs by their ids on a thread, or by their status."""
    runs, body = call.services.storage.runs, call.body
    found: list[Run] = []
    if body.thread_id is not None and body.run_ids is not None:
        found += [
            await runs.get(body.thread_id, run_id, owner=call.owner) for run_id in body.run_ids
        ]
    elif body.status is not None:
        if body.status == "all":
            found += await starting.active_of(runs, body.thread_id, owner=call.owner)
        else:
            found += await starting.all_of(runs, body.thread_id, body.status, owner=call.owner)
    else:
        raise HttpError(422, "name runs by thread_id and run_ids, or by status")
    for run in found:
        try:
            if not await leaves(call, run.thread_id):
                continue
            await call.services.executor.stopper.cancel(
                run, rollback=call.query.action == "rollback", wait=False, owner=call.owner
            )
        except NotFound:
            continue  # it has ended, or is gone with its thread
    return Reply(status=204)


async def _run_of(call: Call[Any, Any]) -> Run:
    return await call.services.storage.runs.get(
        call.path["thread_id"], call.path["run_id"], owner=call.owner
    )


def _channel_of(call: Call[Any, Any], run: Run) -> Channel:
    return call.services.executor.follow(
        run.thread_id,
        run.run_id,
        resumable=bool(run.kwargs.get("stream_resumable")),
        owner=call.owner,
    )


_RUNS: Final = "/threads/{thread_id}/runs"
_RUN: Final = _RUNS + "/{run_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", _RUNS, create, {200: RunShape}, fails=(400, 403, 404, 409)),
    Route("GET", _RUNS, search, {200: list[RunShape]}, fails=(404,)),
    Route("POST", _RUNS + "/wait", wait, {200: Any}, fails=(400, 403, 404, 409)),
    Route("POST", _RUNS + "/stream", stream, {200: str}, fails=(400, 403, 404, 409)),
    Route("GET", _RUN, get, {200: RunShape}, fails=(404,)),
    Route("DELETE", _RUN, delete, {204: None}, fails=(403, 404)),
    Route("GET", _RUN + "/join", join, {200: Any}),
    Route("GET", _RUN + "/stream", join_stream, {200: str}, fails=(404,)),
    Route("POST", _RUN + "/cancel", cancel, {200: Any, 202: Any}, fails=(403, 404)),
    Route("GET", "/threads/{thread_id}/stream", follow, {200: str}, fails=(404,)),
    Route("POST", "/runs/cancel", cancel_many, {204: None}, fails=(403, 404)),
)
