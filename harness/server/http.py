"""What routes are made of: a call comes in, a reply goes out; Robyn is nowhere in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    TypeVar,
    get_args,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from harness.server.access.filters import Filter
    from harness.server.services import Services
    from harness.server.users import User

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
PARAMETER: Final = re.compile(r"\{(\w+)\}")
"""A parameter in the path of a `Route`; its name is the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A request as it came over the wire."""

    method: str = "GET"
    address: str = "/"
    """The path, still percent-encoded."""
    path: Mapping[str, str]
    """Parameters, still percent-encoded."""
    query: Mapping[str, Sequence[str]]
    """Names and values, still percent-encoded."""
    all_headers: Mapping[str, Sequence[str]]
    """Each value of each header; names are in lower case."""
    headers: Mapping[str, str]
    """The last value of each header."""
    body: bytes | str = b""
    client: str | None = None
    """The address of who is at the other end of the connection."""

    @property
    def query_string(self) -> str:
        """What stands behind the question mark."""
        return "&".join(f"{name}={value}" for name, vs in self.query.items() for value in vs)


class Schema(BaseModel):
    """A body or a query: unknown fields are ignored, as the official server does."""

    model_config = ConfigDict(extra="ignore", strict=False)
    is_search: ClassVar[bool] = False
    """Whether it says what to look for: then `max_filter_terms` bounds all that it holds."""


class Nothing(Schema):
    """No body, or no query."""


BodyT = TypeVar("BodyT", bound=Schema)
QueryT = TypeVar("QueryT", bound=Schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[BodyT, QueryT]):
    """One request, checked and authenticated."""

    path: Mapping[str, str]
    """The path's parameters, decoded."""
    query: QueryT
    body: BodyT
    headers: Mapping[str, str]
    """Names are in lower case."""
    owner: str
    services: Services
    user: User | None = None
    """Who calls; None without authentication."""
    filter: Filter | None = None
    """What the metadata must match of the rows that the caller may see; None: all may be seen."""

    def given(self) -> dict[str, Any]:
        """Return the fields of the body that the caller gave, as they are."""
        return {name: getattr(self.body, name) for name in self.body.model_fields_set}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is there at once."""

    body: Any = None
    """What JSON is made of; None with status 204: no body at all."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReply:
    """An answer that comes piece by piece, while the handler has long returned."""

    pieces: AsyncIterator[str]
    media_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call[Any, Any]], Awaitable[Reply | StreamReply]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, who handles them, and what may come of it."""

    method: Method
    path: str
    """With parameters in braces: `/threads/{thread_id}`."""
    handler: Handler
    """Its annotation `Call[Body, Query]` says what it takes; its docstring is the summary."""
    replies: Mapping[int, Any] = field(default_factory=lambda: {200: Any})
    """Type of the body by status of success; None: no body."""
    fails: tuple[int, ...] = ()
    """Statuses of failure, beside those that every route may have."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What each header that the caller may look for says, by its name."""
    takes_name: bool = False
    """Whether a graph's name does for an assistant's id in the path."""
    is_open: bool = False
    """Whether it asks for no token."""

    @property
    def body(self) -> type[Schema]:
        """The type of the body; `Nothing` where it takes none."""
        return _types(self.handler)[0]

    @property
    def query(self) -> type[Schema]:
        """The type of the query; `Nothing` where it takes none."""
        return _types(self.handler)[1]

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return (self.handler.__doc__ or "").strip().split("\n", 1)[0]


@cache  # there are as many handlers as routes, and resolving hints takes as long as an echo
def _types(handler: Handler) -> tuple[type[Schema], type[Schema]]:
    hints = get_type_hints(handler)
    hints.pop("return", None)
    [call] = hints.values()
    body, query = get_args(call)
    return body, query
