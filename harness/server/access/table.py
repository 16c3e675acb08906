"""Which resource and action each route is, for authorization: the official server's, observed.

A server with a route that is neither open nor in this table does not start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.server.access.values import (
    AnyCall,
    NamespaceShape,
    NestedShape,
    Shape,
    Value,
    as_uuid,
    thread_named,
)
from harness.server.http import Method

Rows = Literal[
    "thread", "assistant", "cron", "found", "threads", "new", "item", "any", "all_of_assistant"
]
"""What a handler's filter restricts: the row that the path names; what a search finds; the threads
that the body names; a row to be made; an item, which has no metadata; what the route looks up; or
the threads of the assistant that the path names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a route does, as a handler of `@auth.on` is asked about it."""

    resource: Literal["assistants", "threads", "crons", "store"]
    action: str
    rows: Rows
    shape: Shape = field(default_factory=Shape)
    nothing: Any = None
    """What a search answers that can find nothing."""


def _run_of(call: AnyCall) -> Value:
    body = call.body
    return {
        "thread_id": as_uuid(thread_named(call)),
        "assistant_id": as_uuid(call.services.graphs.assistant_id(body.assistant_id)),
        "run_id": as_uuid(getattr(body, "run_id", None)),
        "status": "pending",
        "prevent_insert_if_inflight": getattr(body, "multitask_strategy", None) == "reject",
        "multitask_strategy": getattr(body, "multitask_strategy", None) or "enqueue",
        "if_not_exists": getattr(body, "if_not_exists", None) or "reject",
        "after_seconds": body.after_seconds or 0,
    }


def _cron_of(call: AnyCall) -> Value:
    body = call.body
    return {
        "thread_id": as_uuid(call.path.get("thread_id")),
        "user_id": call.owner,
        "end_time": body.end_time,
    }


_PAGE: Final = ("limit", "offset")


def _assistants(action: str, rows: Rows = "assistant", *fields: str, **rest: Any) -> Access:
    shape = Shape(fields=fields, new_id=rest.pop("new_id", None))
    return Access(resource="assistants", action=action, rows=rows, shape=shape, **rest)


def _threads(action: str, rows: Rows = "thread", *fields: str, **rest: Any) -> Access:
    shape = Shape(fields=fields, new_id=rest.pop("new_id", None), further=rest.pop("further", {}))
    return Access(resource="threads", action=action, rows=rows, shape=shape, **rest)


def _crons(action: str, rows: Rows, shape: Shape, nothing: Any = None) -> Access:
    return Access(resource="crons", action=action, rows=rows, shape=shape, nothing=nothing)


def _store(action: str, named: str, *fields: str) -> Access:
    shape = NamespaceShape(named=named, fields=fields)
    return Access(resource="store", action=action, rows="item", shape=shape)


READ_THREAD: Final = _threads("read")
RUN: Final = Access(
    resource="threads",
    action="create_run",
    rows="thread",
    shape=NestedShape(
        fields=("metadata",), under="kwargs", nested=lambda body: body.kwargs(), also=_run_of
    ),
)
"""One run, be it one of many."""
_NEW_CRON: Final = _crons(
    "create",
    "new",
    NestedShape(
        fields=("schedule", "metadata"),
        new_id="cron_id",
        under="payload",
        nested=lambda body: body.payload(),
        also=_cron_of,
    ),
)
_CRON_SEARCH: Final = Shape(fields=("assistant_id", "thread_id", "metadata"))
_CRON_PAGE: Final = Shape(fields=(*_CRON_SEARCH.fields, *_PAGE))
_CRON_CHANGE: Final = NestedShape(
    fields=("schedule", "end_time", "enabled", "on_run_completed", "metadata"),
    under="payload",
    nested=lambda body: body.payload(),
)
_ASSISTANT: Final = ("graph_id", "config", "context", "metadata", "name", "description")
_A: Final = "/assistants/{assistant_id}"
_T: Final = "/threads/{thread_id}"
_R: Final = "/threads/{thread_id}/runs/{run_id}"

TABLE: Final[Mapping[tuple[Method, str], tuple[Access, ...]]] = {
    ("POST", "/assistants"): (
        _assistants(
            "create", "new", "assistant_id", *_ASSISTANT, "if_exists", new_id="assistant_id"
        ),
    ),
    ("POST", "/assistants/search"): (
        _assistants("search", "found", "graph_id", "metadata", *_PAGE, nothing=[]),
    ),
    ("POST", "/assistants/count"): (
        _assistants("search", "found", "graph_id", "metadata", nothing=0),
    ),
    ("GET", _A): (_assistants("read"),),
    ("PATCH", _A): (_assistants("update", "assistant", *_ASSISTANT),),
    ("DELETE", _A): (_assistants("delete"),),
    ("POST", _A + "/versions"): (_assistants("read"),),
    ("POST", _A + "/latest"): (_assistants("update", "assistant", "version"),),
    ("GET", _A + "/graph"): (_assistants("read"),),
    ("GET", _A + "/schemas"): (_assistants("read"),),
    ("GET", _A + "/subgraphs"): (_assistants("read"),),
    ("GET", _A + "/subgraphs/{namespace}"): (_assistants("read"),),
    ("POST", "/threads"): (
        _threads("create", "new", "thread_id", "metadata", "if_exists", new_id="thread_id"),
    ),
    ("POST", "/threads/search"): (
        _threads("search", "found", "metadata", "values", "status", *_PAGE, nothing=[]),
    ),
    ("POST", "/threads/count"): (
        _threads("search", "found", "metadata", "values", "status", nothing=0),
    ),
    ("POST", "/threads/prune"): (_threads("delete", "threads", "thread_ids"),),
    ("GET", _T): (READ_THREAD,),
    ("PATCH", _T): (_threads("update", "thread", "metadata"),),
    ("DELETE", _T): (_threads("delete"),),
    ("POST", _T + "/copy"): (READ_THREAD, _threads("create")),
    ("GET", _T + "/state"): (READ_THREAD,),
    ("POST", _T + "/state"): (_threads("update"),),
    ("POST", _T + "/state/checkpoint"): (READ_THREAD,),
    ("GET", _T + "/state/{checkpoint_id}"): (READ_THREAD,),
    ("GET", _T + "/history"): (READ_THREAD,),
    ("POST", _T + "/history"): (READ_THREAD,),
    ("POST", _T + "/runs"): (RUN,),
    ("POST", _T + "/runs/wait"): (RUN,),
    ("POST", _T + "/runs/stream"): (RUN,),
    ("GET", _T + "/runs"): (READ_THREAD, _threads("search", further={"metadata": {}})),
    ("GET", _R): (READ_THREAD,),
    ("DELETE", _R): (_threads("delete"),),
    ("GET", _R + "/join"): (READ_THREAD,),
    ("GET", _R + "/stream"): (READ_THREAD,),
    ("POST", _R + "/cancel"): (_threads("update", "thread", "action"),),
    ("GET", _T + "/stream"): (READ_THREAD,),
    ("POST", "/runs/cancel"): (_threads("update", "any", "thread_id", "run_ids", "status"),),
    ("POST", "/runs"): (RUN,),
    ("POST", "/runs/wait"): (RUN,),
    ("POST", "/runs/stream"): (RUN,),
    ("POST", "/runs/batch"): (RUN,),
    ("POST", "/runs/crons"): (_NEW_CRON,),
    ("POST", _T + "/runs/crons"): (_NEW_CRON, READ_THREAD),
    ("PATCH", "/runs/crons/{cron_id}"): (_crons("update", "cron", _CRON_CHANGE),),
    ("DELETE", "/runs/crons/{cron_id}"): (_crons("delete", "cron", Shape()),),
    ("POST", "/runs/crons/search"): (_crons("search", "found", _CRON_PAGE, []),),
    ("POST", "/runs/crons/count"): (_crons("search", "found", _CRON_SEARCH, 0),),
    ("PUT", "/store/items"): (_store("put", "namespace", "key", "value", "index", "ttl"),),
    ("GET", "/store/items"): (_store("get", "namespace", "key", "refresh_ttl"),),
    ("DELETE", "/store/items"): (_store("delete", "namespace", "key"),),
    ("POST", "/store/items/search"): (
        _store("search", "namespace_prefix", "filter", *_PAGE, "query", "refresh_ttl"),
    ),
    ("POST", "/store/namespaces"): (
        _store("list_namespaces", "prefix", "suffix", "max_depth", *_PAGE),
    ),
}
