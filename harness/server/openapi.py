"""The OpenAPI document, made from the routes: what is not served is not in it, and all that is."""

from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from harness.config import SecuritySource, ServerConfig
from harness.server.failures import Failure
from harness.server.http import PARAMETER, Call, Nothing, Reply, Route, StreamReply

JsonSchema = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_TOKENS: Final = SecuritySource(
    securitySchemes={"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    security=[{"bearer": []}],
)
_SELECT: Final = "select"
"""The field of a body or a query that says which fields of the answer are shown."""
_EVENTS: Final = "text/event-stream"
_EVENT: Final[JsonSchema] = {
    "type": "object",
    "description": "Each event of the stream; its data are JSON.",
    "properties": {name: {"type": "string"} for name in ("event", "data", "id")},
}


def with_document(routes: Sequence[Route]) -> tuple[Route, ...]:
    """Return the routes and one more, which answers with the document of them all."""
    known: dict[bool, JsonSchema] = {}

    async def openapi(call: Call[Nothing, Nothing]) -> Reply:
        """Describe every route."""
        config = call.services.config
        if config.authenticates not in known:
            known[config.authenticates] = document(served, config)
        return Reply(body=known[config.authenticates])

    served = (*routes, Route("GET", "/openapi.json", openapi, {200: dict[str, Any]}, is_open=True))
    return served


def document(routes: Sequence[Route], config: ServerConfig) -> JsonSchema:
    """Return the OpenAPI 3.1 document of routes.

    Args:
        routes: What is served.
        config: Says whether callers must show who they are, and how.
    """
    schemas = _Schemas(routes)
    paths: dict[str, JsonSchema] = {}
    for route in routes:
        described = _operation(route, schemas, config)
        paths.setdefault(route.path, {})[route.method.lower()] = described
    components: JsonSchema = {"schemas": schemas.components}
    schemes = _security_of(config).securitySchemes
    if schemes:
        components["securitySchemes"] = schemes
    return {
        "openapi": "3.1.0",
        "info": {"title": "harness", "version": version("langgraph-persistence-harness")},
        "paths": paths,
        "components": components,
    }


class _Schemas:
    """JSON schemas of everything that goes in and out, with one definition of each model."""

    def __init__(self, routes: Sequence[Route]) -> None:
        failure: TypeAdapter[Any] = TypeAdapter(Failure)
        wanted: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
            (Failure, "serialization", failure)
        ]
        for route in routes:
            wanted += [
                (kind, "serialization", TypeAdapter(kind)) for kind in route.replies.values()
            ]
            if route.body is not Nothing:
                wanted.append((route.body, "validation", TypeAdapter(route.body)))
        found, definitions = TypeAdapter.json_schemas(wanted, ref_template=_REF)
        self._found = found
        self.components: JsonSchema = definitions.get("$defs", {})

    def of(self, kind: Any, mode: JsonSchemaMode) -> JsonSchema:
        """Return the schema of a type, mostly a reference."""
        return self._found[kind, mode]

    def of_some_fields(self, schema: JsonSchema) -> JsonSchema:
        """Return what a schema, or that of a list's items, is where callers select fields."""
        if "items" in schema:
            return {**schema, "items": self.of_some_fields(schema["items"])}
        model = self.components[schema["$ref"].rpartition("/")[2]]
        return {name: value for name, value in model.items() if name != "required"}


def _security_of(config: ServerConfig) -> SecuritySource:
    """Return how callers show who they are."""
    if config.has_jwt_key:
        return _TOKENS
    auth = None if config.deployment is None else config.deployment.auth
    return (auth and auth.openapi) or SecuritySource()


def _operation(route: Route, schemas: _Schemas, config: ServerConfig) -> JsonSchema:
    group = route.handler.__module__.rpartition(".")[2]
    described: JsonSchema = {
        "operationId": f"{group}_{route.handler.__name__}",
        "tags": [group],
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route, schemas, config),
    }
    if route.body is not Nothing:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas.of(route.body, "validation")}},
        }
    if not route.is_open:
        security = _security_of(config)
        methods = {name.upper(): what for name, what in security.paths.get(route.path, {}).items()}
        asked = methods.get(route.method, security.security)
        if asked or route.method in methods:
            described["security"] = asked
    return described


def _path_parameters(route: Route) -> list[JsonSchema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"}
            if name.endswith("_id") and not route.takes_name
            else {"type": "string", "minLength": 1},
        }
        for name in PARAMETER.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[JsonSchema]:
    query = route.query.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in query.get("required", ()),
            "schema": schema,
        }
        for name, schema in query.get("properties", {}).items()
    ]


def _responses(route: Route, schemas: _Schemas, config: ServerConfig) -> JsonSchema:
    headers = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in route.headers.items()
    }
    described: JsonSchema = {}
    for status, kind in route.replies.items():
        reply: JsonSchema = {"description": HTTPStatus(status).phrase}
        if headers:
            reply["headers"] = headers
        if kind is not None:
            media_type = _media_type(route, kind)
            schema = schemas.of(kind, "serialization")
            if media_type == _EVENTS:
                schema = _EVENT
            elif _SELECT in {**route.body.model_fields, **route.query.model_fields}:
                schema = schemas.of_some_fields(schema)
            reply["content"] = {media_type: {"schema": schema}}
        described[str(status)] = reply
    for status in sorted({*route.fails, *_may_fail(route, config)}):
        described.setdefault(
            str(status),
            {
                "description": HTTPStatus(status).phrase,
                "content": {"application/json": {"schema": schemas.of(Failure, "serialization")}},
            },
        )
    return described


def _may_fail(route: Route, config: ServerConfig) -> set[int]:
    """Return statuses that a route may answer with because of what it takes."""
    takes_body, takes_query = route.body is not Nothing, route.query is not Nothing
    statuses = set() if route.is_open else {503}
    if config.authenticates and not route.is_open:
        statuses |= {401} if config.has_jwt_key else {401, 403, 404}
        if StreamReply in {answers := get_type_hints(route.handler)["return"], *get_args(answers)}:
            statuses.add(429)
    if takes_body:
        statuses.add(413)
    if takes_body or takes_query or PARAMETER.search(route.path):
        statuses.add(422)
    return statuses


def _media_type(route: Route, kind: Any) -> str:
    if kind is not str:
        return "application/json"
    answers = get_type_hints(route.handler)["return"]
    streams = answers is StreamReply or StreamReply in get_args(answers)
    return _EVENTS if streams else "text/plain"
