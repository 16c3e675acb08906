"""Assistants: graphs with a configuration, and each version that they had."""

from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from harness.errors import NotFound
from harness.models import IfExists
from harness.server.failures import HttpError
from harness.server.http import Call, Nothing, Reply, Route, Schema
from harness.server.routes.paging import PAGED, Paged, Sorted, page, shown
from harness.server.services import Services
from harness.storage.checks import check_name
from harness.storage.interface import AssistantSortBy

AssistantField = Literal[
    "assistant_id",
    "graph_id",
    "name",
    "description",
    "config",
    "context",
    "created_at",
    "updated_at",
    "metadata",
    "version",
]


class AssistantVersionShape(BaseModel):
    """What an assistant was at one of its versions."""

    assistant_id: str
    version: int
    graph_id: str
    name: str
    description: str | None
    config: dict[str, Any]
    context: dict[str, Any]
    """Equals `config.configurable`."""
    metadata: dict[str, Any]
    created_at: datetime


class AssistantShape(AssistantVersionShape):
    """A graph with its configuration."""

    updated_at: datetime


class AssistantCreate(Schema):
    """A new assistant."""

    graph_id: str
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    """Or `config.configurable`, which it equals; not both."""
    metadata: dict[str, Any] | None = None
    assistant_id: str | None = None
    if_exists: IfExists | None = None
    name: str | None = None
    description: str | None = None


class AssistantUpdate(Schema):
    """What becomes different with the next version; metadata merges, all else is replaced."""

    graph_id: str | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    """Or `config.configurable`, which it equals; not both."""
    metadata: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None


class AssistantCount(Schema):
    """Which assistants."""

    is_search: ClassVar[bool] = True
    metadata: dict[str, Any] | None = None
    """What their metadata contain."""
    graph_id: str | None = None
    name: str | None = None
    """A part of their name, in any case."""


class AssistantSearch(AssistantCount, Sorted):
    """Which assistants, and which part of them in which order."""

    sort_by: AssistantSortBy = "created_at"
    select: list[AssistantField] | None = None
    """Fields to show; all by default."""


class AssistantDelete(Schema):
    """What goes with an assistant."""

    delete_threads: bool = False
    """The threads whose `metadata.assistant_id` names it."""


class AssistantVersions(Paged):
    """Which versions."""

    is_search: ClassVar[bool] = True
    metadata: dict[str, Any] | None = None


class AssistantLatest(Schema):
    """The version to go back to."""

    version: int = Field(ge=1, lt=2**31)


async def create(call: Call[AssistantCreate, Nothing]) -> Reply:
    """Create an assistant at version 1."""
    _check(call.body.config, call.body.context)
    _served(call.services, call.body.graph_id)
    made = await call.services.storage.assistants.create(**_given(call), owner=call.owner)
    return Reply(body=shown(made))


async def search(call: Call[AssistantSearch, Nothing]) -> Reply:
    """Find assistants, the system's among them."""
    body, assistants = call.body, call.services.storage.assistants
    which = _which(call.services, body)
    found = await assistants.search(**which, **body.part, owner=call.owner)
    rows = [shown(one) for one in found]
    return await page(rows, body, body.select, lambda: assistants.count(**which, owner=call.owner))


async def count(call: Call[AssistantCount, Nothing]) -> Reply:
    """Count what a search would find."""
    which = _which(call.services, call.body)
    return Reply(body=await call.services.storage.assistants.count(**which, owner=call.owner))


async def get(call: Call[Nothing, Nothing]) -> Reply:
    """Get an assistant."""
    found = await call.services.storage.assistants.get(call.path["assistant_id"], owner=call.owner)
    return Reply(body=shown(found))


async def update(call: Call[AssistantUpdate, Nothing]) -> Reply:
    """Make a new version of an assistant, whatever is given."""
    _check(call.body.config, call.body.context)
    if call.body.graph_id is not None:
        _served(call.services, call.body.graph_id)
    updated = await call.services.storage.assistants.update(
        call.path["assistant_id"], **_given(call), owner=call.owner
    )
    return Reply(body=shown(updated))


async def delete(call: Call[Nothing, AssistantDelete]) -> Reply:
    """Delete an assistant with its versions and crons."""
    await call.services.storage.assistants.delete(
        call.path["assistant_id"], delete_threads=call.query.delete_threads, owner=call.owner
    )
    return Reply(status=204)


async def versions(call: Call[AssistantVersions, Nothing]) -> Reply:
    """List an assistant's versions, newest first."""
    body = call.body
    found = await call.services.storage.assistants.get_versions(
        call.path["assistant_id"], body.metadata, body.limit, body.offset, owner=call.owner
    )
    return Reply(body=[shown(one) for one in found])


async def set_latest(call: Call[AssistantLatest, Nothing]) -> Reply:
    """Make an older version of an assistant the current one, with everything that it held."""
    latest = await call.services.storage.assistants.set_latest(
        call.path["assistant_id"], call.body.version, owner=call.owner
    )
    return Reply(body=shown(latest))


def _given(call: Call[Any, Nothing]) -> dict[str, Any]:
    """Return the fields that were given; null means as much as nothing."""
    return {name: value for name, value in call.given().items() if value is not None}


def _which(services: Services, body: AssistantCount) -> dict[str, Any]:
    if body.graph_id is not None:
        _served(services, body.graph_id)
    return {"metadata": body.metadata, "graph_id": body.graph_id, "name": body.name}


def _served(services: Services, graph_id: str) -> None:
    if check_name(graph_id, "graph_id") not in services.graphs:
        raise NotFound.of("graph", repr(graph_id))
    services.graphs.check(graph_id)


def _check(config: dict[str, Any] | None, context: dict[str, Any] | None) -> None:
    if context and config and config.get("configurable"):
        raise HttpError(400, "give config.configurable or context, not both")


_ASSISTANT: Final = "/assistants/{assistant_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", "/assistants", create, {200: AssistantShape}, fails=(400, 404, 409)),
    Route(
        "POST",
        "/assistants/search",
        search,
        {200: list[AssistantShape]},
        fails=(404,),
        headers=PAGED,
    ),
    Route("POST", "/assistants/count", count, {200: int}, fails=(404,)),
    Route("GET", _ASSISTANT, get, {200: AssistantShape}, fails=(404,)),
    Route("PATCH", _ASSISTANT, update, {200: AssistantShape}, fails=(400, 403, 404)),
    Route("DELETE", _ASSISTANT, delete, {204: None}, fails=(403, 404)),
    Route(
        "POST",
        _ASSISTANT + "/versions",
        versions,
        {200: list[AssistantVersionShape]},
        fails=(404,),
    ),
    Route("POST", _ASSISTANT + "/latest", set_latest, {200: AssistantShape}, fails=(403, 404)),
)
