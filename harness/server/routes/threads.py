"""Threads: created, read, changed, searched, copied, pruned, deleted."""

from contextlib import suppress
from typing import Any, Final

from langgraph.types import StateUpdate

from harness.errors import HarnessError, NotFound
from harness.models import Thread
from harness.persistence import hold_thread
from harness.server.execution.requests import command_of
from harness.server.failures import HttpError
from harness.server.http import Call, Nothing, Reply, Route
from harness.server.routes.extracting import extracted, steps_of
from harness.server.routes.paging import PAGED, page
from harness.server.routes.state import states_of
from harness.server.routes.thread_bodies import (
    NewThreadBody,
    PruneBody,
    ThreadFilterBody,
    ThreadPatchBody,
    ThreadQuery,
    ThreadSearchBody,
    TtlBody,
    UpdateBody,
)
from harness.server.routes.thread_shapes import PrunedShape, ThreadShape, thread_shape
from harness.server.threads.places import Place
from harness.storage.checks import check_ids


async def create(call: Call[NewThreadBody, Nothing]) -> Reply:
    """Create a thread."""
    body, threads = call.body, call.services.storage.threads
    if body.supersteps and not isinstance((body.metadata or {}).get("graph_id"), str):
        raise HttpError(400, "supersteps need metadata.graph_id: which graph is to apply them?")
    thread = await threads.create(
        metadata=body.metadata,
        thread_id=body.thread_id,
        if_exists=body.if_exists or "raise",
        ttl=_ttl(body.ttl),
        owner=call.owner,
    )
    if body.supersteps and thread.checkpoint_id is None:
        try:
            thread = await _applied(call, thread, body)
        except HarnessError:
            await threads.delete(thread.thread_id, owner=call.owner)
            raise
    return Reply(body=thread_shape(thread))


async def get(call: Call[Nothing, ThreadQuery]) -> Reply:
    """Get a thread."""
    thread = await call.services.storage.threads.get(call.path["thread_id"], owner=call.owner)
    return Reply(body=thread_shape(thread))


async def update(call: Call[ThreadPatchBody, Nothing]) -> Reply:
    """Merge metadata into a thread's; with `Prefer: return=minimal` answer nothing."""
    thread = await call.services.storage.threads.update(
        call.path["thread_id"],
        metadata=call.body.metadata or {},
        ttl=_ttl(call.body.ttl),
        owner=call.owner,
    )
    if call.headers.get("prefer", "").replace(" ", "") == "return=minimal":
        return Reply(status=204)
    return Reply(body=thread_shape(thread))


async def delete(call: Call[Nothing, Nothing]) -> Reply:
    """Delete a thread with its states, runs and crons; a run that is executed is stopped."""
    await call.services.executor.stopper.delete_thread(call.path["thread_id"], owner=call.owner)
    return Reply(status=204)


async def search(call: Call[ThreadSearchBody, Nothing]) -> Reply:
    """Find threads, newest first."""
    body, threads = call.body, call.services.storage.threads
    paths = {name: steps_of(path) for name, path in (body.extract or {}).items()}
    given = _filter(body)
    found = await threads.search(**given, **body.part, owner=call.owner)
    rows = [thread_shape(thread) for thread in found]
    select: list[str] | None = None if body.select is None else [*body.select]
    if paths:
        rows = [{**row, "extracted": extracted(row, paths)} for row in rows]
        select = select and [*select, "extracted"]
    return await page(rows, body, select, lambda: threads.count(**given, owner=call.owner))


async def count(call: Call[ThreadFilterBody, Nothing]) -> Reply:
    """Count threads."""
    threads = call.services.storage.threads
    return Reply(body=await threads.count(**_filter(call.body), owner=call.owner))


async def copy(call: Call[Nothing, Nothing]) -> Reply:
    """Copy a thread with its states and checkpoints, but without its runs."""
    services, thread_id = call.services, call.path["thread_id"]
    try:
        [source] = check_ids([thread_id], "thread") or ()
    except HarnessError as exc:
        raise HttpError(400, str(exc)) from exc
    thread: Thread | None = None
    try:
        async with hold_thread(services.checkpointer, source):
            thread = await services.storage.threads.copy(source, owner=call.owner)
            await services.checkpointer.acopy_thread(source, thread.thread_id)
            thread = await states_of(call).shown(thread)  # a run may go on while it is copied
    except BaseException as exc:
        if thread is not None:  # in memory nothing undoes the copy
            with suppress(HarnessError):
                await services.storage.threads.delete(thread.thread_id, owner=call.owner)
        elif isinstance(exc, NotFound):
            raise HttpError(409, str(exc)) from exc  # as the official server answers
        raise
    return Reply(body=thread_shape(thread))


async def prune(call: Call[PruneBody, Nothing]) -> Reply:
    """Delete threads, all or none, or all states but the latest; others' are passed over."""
    body, services = call.body, call.services
    if body.strategy == "keep_latest":
        pruned = await services.storage.threads.prune(
            body.thread_ids, strategy=body.strategy, owner=call.owner
        )
        return Reply(body={"pruned_count": pruned})
    ids = check_ids(body.thread_ids, "thread") or ()
    pruned = await services.executor.stopper.delete_threads(ids, owner=call.owner)
    return Reply(body={"pruned_count": pruned})


async def _applied(call: Call[Any, Any], thread: Thread, body: NewThreadBody) -> Thread:
    steps = [[_update_of(one) for one in step.updates] for step in body.supersteps or ()]
    _, shown = await states_of(call).update(thread.thread_id, steps, Place())
    return shown


def _update_of(update: UpdateBody) -> StateUpdate:
    values: Any = update.values
    if update.command is not None:
        if update.command.resume is not None:
            raise HttpError(422, "supersteps: an update answers no interrupt, a run does")
        values = command_of(update.command.model_dump(exclude_unset=True))
    return StateUpdate(values, update.as_node)


def _ttl(given: TtlBody | float | None) -> dict[str, Any] | float | None:
    return given.model_dump() if isinstance(given, TtlBody) else given


def _filter(body: ThreadFilterBody) -> dict[str, Any]:
    return {
        "metadata": body.metadata,
        "values": body.values,
        "ids": body.ids,
        "status": body.status,
    }


_THREAD: Final = "/threads/{thread_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", "/threads", create, {200: ThreadShape}, fails=(400, 404, 409)),
    Route("POST", "/threads/search", search, {200: list[ThreadShape]}, headers=PAGED),
    Route("POST", "/threads/count", count, {200: int}),
    Route("POST", "/threads/prune", prune, {200: PrunedShape}, fails=(409,)),
    Route("GET", _THREAD, get, {200: ThreadShape}, fails=(404,)),
    Route("PATCH", _THREAD, update, {200: ThreadShape, 204: None}, fails=(403, 404)),
    Route("DELETE", _THREAD, delete, {204: None}, fails=(403, 404)),
    Route("POST", _THREAD + "/copy", copy, {200: ThreadShape}, fails=(400, 409)),
)
