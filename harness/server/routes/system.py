"""What tells about the server itself: alive, healthy, what it is, what it counts."""

from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel

from harness.runtime import get_pool, is_postgres_enabled
from harness.server.http import Call, Nothing, Reply, Route

FLAGS: Final = {
    "assistants": True,
    "crons": False,
    "langsmith": False,
    "strict_resume": True,
    "webhooks": True,
    "thread_ttl": True,
    "store_index": False,
}
"""What the server does; `crons`: they are kept, but nothing fires them yet."""


class Ok(BaseModel):
    """The process answers."""

    ok: bool


class Health(BaseModel):
    """Whether what the server stores in can be reached, probed at this moment."""

    status: str
    """`ok` or `degraded`."""
    persistence: str
    """`postgres` or `memory`."""
    detail: str | None = None
    """Why it is degraded."""
    pool: dict[str, Any] | None = None
    """What psycopg_pool tells of its connections."""


class Info(BaseModel):
    """What the server is."""

    version: str
    langgraph_version: str
    persistence: str
    graphs: list[str]
    unusable_graphs: dict[str, str]
    """Graphs that cannot be loaded or made, and why; where callers must show who they are, only
    their calls say why."""
    flags: dict[str, bool]


async def ok(call: Call[Nothing, Nothing]) -> Reply:
    """Say that the process answers."""
    del call
    return Reply(body={"ok": True})


async def health(call: Call[Nothing, Nothing]) -> Reply:
    """Probe what the server stores in."""
    problem = await call.services.health.problem()
    pool = get_pool()
    found = Health(
        status="degraded" if problem else "ok",
        persistence="postgres" if is_postgres_enabled() else "memory",
        detail=problem,
        pool=None if pool is None else pool.get_stats(),
    )
    return Reply(status=503 if problem else 200, body=found.model_dump())


async def info(call: Call[Nothing, Nothing]) -> Reply:
    """Tell versions and graphs."""
    graphs = call.services.graphs
    found = Info(
        version=version("langgraph-persistence-harness"),
        langgraph_version=version("langgraph"),
        persistence="postgres" if is_postgres_enabled() else "memory",
        graphs=[name for name in graphs.names if name not in graphs.problems],
        unusable_graphs={
            name: "cannot be used" if call.services.config.authenticates else str(problem)
            for name, problem in graphs.problems.items()
        },
        flags=FLAGS,
    )
    return Reply(body=found.model_dump())


async def metrics(call: Call[Nothing, Nothing]) -> Reply:
    """Tell what the server counts, in Prometheus' text format."""
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    return Reply(body=call.services.metrics.text(), headers=headers)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/ok", ok, {200: Ok}, is_open=True),
    Route("GET", "/health", health, {200: Health, 503: Health}, is_open=True),
    Route("GET", "/info", info, {200: Info}, is_open=True),
    Route("GET", "/metrics", metrics, {200: str}, is_open=True),
)
