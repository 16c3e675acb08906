"""The table of what a request can say: for each field of each operation, what shows its effect."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, get_args

from langgraph_sdk.client import get_client

from harness.server.http import Schema
from harness.server.routes import ROUTES

Client = Any
"""The official client, which is asked for more than its types admit."""
Check = Callable[[Client], Awaitable[None]]
Row = tuple[str, str]
"""An operation, such as `threads.create` of the SDK or `POST /threads`, and one of its fields."""

CHECKS: Final[dict[str, Check]] = {}
ROWS: Final[dict[Row, str]] = {}
"""By row the name of the check that shows what the field does, or that it is refused."""

RESOURCES: Final = ("assistants", "threads", "runs", "crons", "store")
HOW_TO_SEND: Final = {
    "headers": "asked of every method by a test of its own",
    "params": "is the query itself, whose fields have rows of their own",
}
"""Parameters of every method of the SDK that say how to send, not what."""
RENAMED: Final = {"langsmith_tracing": "langsmith_tracer"}
"""Parameters of the SDK that have another name in a body."""


def effect(operations: str, *fields: str) -> Callable[[Check], Check]:
    """Register a check as what shows the effect of fields of each of the operations.

    Args:
        operations: Names, with ` + ` between them.
        fields: Of a body or a query, or parameters of a method; of nested objects with dots.
    """

    def register(check: Check) -> Check:
        name = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
        CHECKS[name] = check
        for operation in operations.split(" + "):
            for field in fields:
                ROWS[operation, field] = name
        return check

    return register


def sdk_rows() -> Iterator[Row]:
    """Yield every parameter of every method of the official client."""
    client = get_client(url="http://127.0.0.1:1")
    for resource in RESOURCES:
        for name, method in inspect.getmembers(type(getattr(client, resource)), callable):
            if not name.startswith("_"):
                for parameter in inspect.signature(method).parameters:
                    if parameter != "self" and parameter not in HOW_TO_SEND:
                        yield f"{resource}.{name}", parameter


def route_rows() -> Iterator[Row]:
    """Yield every field of every body and query that the OpenAPI document describes."""
    for route in ROUTES:
        for kind in (route.body, route.query):
            for field in _fields(kind):
                yield f"{route.method} {route.path}", field


def _fields(kind: type[Schema], prefix: str = "") -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield prefix + name
        for nested in _schemas(field.annotation):
            yield from _fields(nested, f"{prefix}{name}.")


def _schemas(annotation: Any) -> Iterator[type[Schema]]:
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        yield annotation
    for argument in get_args(annotation):
        yield from _schemas(argument)
