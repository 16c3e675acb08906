"""What an assistant's graph looks like: nodes and edges, schemas of its state, its subgraphs."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.channels.base import BaseChannel
from langgraph.pregel import Pregel
from pydantic import BaseModel, Field, TypeAdapter, create_model, field_validator
from pydantic.errors import PydanticUserError

from harness.agents.graph import Graph
from harness.server.factories import telling
from harness.server.http import Call, Nothing, Reply, Route, Schema

_LEVELS: Final = re.compile("[1-9][0-9]{0,8}")

AnyGraph = Pregel[Any, Any, Any, Any]
JsonSchema = dict[str, Any]


class DrawingShape(BaseModel):
    """A graph to draw."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]


class SubgraphShape(BaseModel):
    """JSON schemas of a graph."""

    input_schema: JsonSchema | None
    output_schema: JsonSchema | None
    state_schema: JsonSchema | None
    config_schema: JsonSchema | None
    """Of `config.configurable`; equals the context's."""
    context_schema: JsonSchema | None


class SchemasShape(SubgraphShape):
    """JSON schemas of an assistant's graph."""

    graph_id: str


class DrawingQuery(Schema):
    """How much to draw."""

    xray: bool | Annotated[int, Field(ge=1, lt=10**9)] = False
    """Draw subgraphs too: all, or those less deep than so many levels."""

    @field_validator("xray", mode="before")
    @classmethod
    def _levels(cls, given: Any) -> Any:
        text = str(given).lower()
        if text in ("true", "false"):
            return text == "true"
        if not _LEVELS.fullmatch(text):
            raise ValueError("must be true, false or a number of levels")
        return int(text)


class SubgraphsQuery(Schema):
    """Which subgraphs."""

    recurse: bool = False
    """Those of subgraphs too."""


async def draw(call: Call[Nothing, DrawingQuery]) -> Reply:
    """Draw an assistant's graph."""
    named = call.services.graphs.assistant_id(call.path["assistant_id"])
    async with _graph_of(call, named) as graph:
        drawing = await graph.aget_graph(xray=call.query.xray)
    return Reply(body=drawing.to_json())


async def schemas(call: Call[Nothing, Nothing]) -> Reply:
    """Describe an assistant's graph by JSON schemas."""
    async with _graph_of(call, call.path["assistant_id"]) as graph:
        return Reply(body={"graph_id": graph.name, **_schemas_of(graph)})


async def subgraphs(call: Call[Nothing, SubgraphsQuery]) -> Reply:
    """Describe an assistant's subgraphs by JSON schemas."""
    return await _subgraphs_at(call, None)


async def subgraph(call: Call[Nothing, SubgraphsQuery]) -> Reply:
    """Describe one of an assistant's subgraphs by JSON schemas."""
    return await _subgraphs_at(call, call.path["namespace"])


async def _subgraphs_at(call: Call[Nothing, SubgraphsQuery], namespace: str | None) -> Reply:
    described = {}
    async with _graph_of(call, call.path["assistant_id"]) as graph:
        found = graph.aget_subgraphs(namespace=namespace, recurse=call.query.recurse)
        async for place, each in found:
            if isinstance(each, Pregel):
                described[place] = _schemas_of(each)
    return Reply(body=described)


@asynccontextmanager
async def _graph_of(call: Call[Any, Any], assistant_id: str) -> AsyncIterator[Graph]:
    """Yield the graph as the assistant's configuration makes it.

    Raises:
        NotFound: There is no such assistant, or its graph is not served any more.
        GraphUnusable: The graph cannot be made, not from that configuration, or not described.
    """
    assistant = await call.services.storage.assistants.get(assistant_id, owner=call.owner)
    config = RunnableConfig(configurable=dict(assistant.context))
    async with call.services.graphs.open(
        assistant.graph_id, config, access="assistants.read", user=call.user
    ) as graph:
        with telling(assistant.graph_id, "described"):
            yield graph


def _schemas_of(graph: AnyGraph) -> dict[str, JsonSchema | None]:
    context = _schema(graph.get_context_jsonschema)
    return {
        "input_schema": _schema(graph.get_input_jsonschema),
        "output_schema": _schema(graph.get_output_jsonschema),
        "state_schema": _schema(lambda: _state_schema(graph)),
        "config_schema": context,
        "context_schema": context,
    }


def _schema(make: Callable[[], JsonSchema | None]) -> JsonSchema | None:
    """Return a schema; None where a type of the graph has none."""
    try:
        return make()
    except (PydanticUserError, ValueError, TypeError, NameError):
        return None


def _state_schema(graph: AnyGraph) -> JsonSchema:
    """Return the schema of what a node may write; a type that has none may be anything."""
    fields: dict[str, Any] = {}
    for name in graph.stream_channels_list:
        channel = graph.channels[name]
        kind = channel.UpdateType if isinstance(channel, BaseChannel) else Any
        fields[name] = (kind if _schema(TypeAdapter(kind).json_schema) else Any, None)
    schema: JsonSchema = create_model(graph.get_name("State"), **fields).model_json_schema()
    return schema


_ASSISTANT: Final = "/assistants/{assistant_id}"

ROUTES: tuple[Route, ...] = (
    Route("GET", _ASSISTANT + "/graph", draw, {200: DrawingShape}, fails=(404,), takes_name=True),
    Route("GET", _ASSISTANT + "/schemas", schemas, {200: SchemasShape}, fails=(404,)),
    Route(
        "GET", _ASSISTANT + "/subgraphs", subgraphs, {200: dict[str, SubgraphShape]}, fails=(404,)
    ),
    Route(
        "GET",
        _ASSISTANT + "/subgraphs/{namespace}",
        subgraph,
        {200: dict[str, SubgraphShape]},
        fails=(404,),
    ),
)
