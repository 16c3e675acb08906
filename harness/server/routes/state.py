"""The state of a thread: read, at a checkpoint too, written to, and its history."""

from typing import Any, Final

from langgraph.types import StateUpdate

from harness.models import Json
from harness.server.failures import HttpError
from harness.server.http import Call, Nothing, Reply, Route
from harness.server.routes.thread_bodies import (
    HistoryBody,
    HistoryQuery,
    StateAtBody,
    StateQuery,
    StateUpdateBody,
)
from harness.server.routes.thread_shapes import StateShape, UpdatedShape
from harness.server.threads.places import Place, checkpoint_of
from harness.server.threads.snapshots import selected_of
from harness.server.threads.states import States
from harness.storage.values import canonical_object


async def get(call: Call[Nothing, StateQuery]) -> Reply:
    """Get a thread's state."""
    return await _got(call, Place(), call.query.select, subgraphs=call.query.subgraphs)


async def get_at(call: Call[Nothing, StateQuery]) -> Reply:
    """Get the state at a checkpoint."""
    place = Place.of(call.path["checkpoint_id"])
    return await _got(call, place, call.query.select, subgraphs=call.query.subgraphs)


async def get_at_checkpoint(call: Call[StateAtBody, Nothing]) -> Reply:
    """Get the state at a checkpoint, of a subgraph too."""
    place = Place.of(call.body.checkpoint.model_dump())
    return await _got(call, place, call.body.select, subgraphs=bool(call.body.subgraphs))


async def update(call: Call[StateUpdateBody, Nothing]) -> Reply:
    """Write to a state as if a node had."""
    body = call.body
    if isinstance(body.values, list):
        raise HttpError(400, "values must be an object or null")
    values = None if body.values is None else canonical_object(body.values, "values")
    place = Place.of(
        body.checkpoint_id if body.checkpoint is None else body.checkpoint.model_dump()
    )
    step = [StateUpdate(values, body.as_node)]
    config, _ = await states_of(call).update(call.path["thread_id"], [step], place)
    checkpoint = checkpoint_of(config)
    assert checkpoint is not None  # noqa: S101 -- it was just written
    shown = {"checkpoint": checkpoint, "configurable": checkpoint}
    return Reply(body={**shown, "checkpoint_id": checkpoint["checkpoint_id"]})


async def history(call: Call[Nothing, HistoryQuery]) -> Reply:
    """List a thread's states, newest first."""
    query = call.query
    return await _listed(call, query, before=Place.of(query.before), place=Place(), metadata={})


async def search_history(call: Call[HistoryBody, Nothing]) -> Reply:
    """List a thread's states that match, newest first."""
    body = call.body
    before = (
        body.before
        if isinstance(body.before, str) or body.before is None
        else (body.before.model_dump(exclude_none=True))
    )
    within = Place.of(None if body.checkpoint is None else body.checkpoint.model_dump())
    place = Place(checkpoint_ns=within.checkpoint_ns, checkpoint_map=within.checkpoint_map)
    return await _listed(
        call, body, before=Place.of(before), place=place, metadata=body.metadata or {}
    )


async def _got(
    call: Call[Any, Any], place: Place, select: list[str] | None, *, subgraphs: bool
) -> Reply:
    state = await states_of(call).get(call.path["thread_id"], place, subgraphs=subgraphs)
    return Reply(body=selected_of(state, select))


async def _listed(
    call: Call[Any, Any],
    asked: HistoryBody | HistoryQuery,
    *,
    before: Place,
    place: Place,
    metadata: Json,
) -> Reply:
    states = await states_of(call).history(
        call.path["thread_id"], place, limit=asked.limit, before=before, metadata=metadata
    )
    return Reply(body=[selected_of(state, asked.select) for state in states])


def states_of(call: Call[Any, Any]) -> States:
    """Return the states of the caller's threads."""
    services = call.services
    return States(
        services.storage,
        services.graphs,
        services.checkpointer,
        services.executor.turns,
        owner=call.owner,
        user=call.user,
    )


_STATE: Final = "/threads/{thread_id}/state"
_HISTORY: Final = "/threads/{thread_id}/history"

ROUTES: tuple[Route, ...] = (
    Route("GET", _STATE, get, {200: StateShape}, fails=(404, 409)),
    Route("POST", _STATE, update, {200: UpdatedShape}, fails=(400, 403, 404, 409)),
    Route("POST", _STATE + "/checkpoint", get_at_checkpoint, {200: StateShape}, fails=(404, 409)),
    Route("GET", _STATE + "/{checkpoint_id}", get_at, {200: StateShape}, fails=(404, 409)),
    Route("GET", _HISTORY, history, {200: list[StateShape]}, fails=(404, 409)),
    Route("POST", _HISTORY, search_history, {200: list[StateShape]}, fails=(404, 409)),
)
