"""A request of each route that wants a user, and what the handlers of `auth` are asked for it."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import httpx

from harness.server.http import PARAMETER, Route
from harness.server.routes import ROUTES

RUN: Final = {"assistant_id": "compiled", "input": {}}
CRON: Final = {"assistant_id": "compiled", "schedule": "0 0 1 1 *"}
ITEM: Final = {"namespace": ["a"], "key": "k"}

ASKED: Final[Mapping[tuple[str, str], tuple[Any, str]]] = {
    ("POST", "/assistants"): ({"graph_id": "compiled"}, "assistants.create"),
    ("POST", "/assistants/search"): ({}, "assistants.search"),
    ("POST", "/assistants/count"): ({}, "assistants.search"),
    ("GET", "/assistants/{assistant_id}"): (None, "assistants.read"),
    ("PATCH", "/assistants/{assistant_id}"): ({}, "assistants.update"),
    ("DELETE", "/assistants/{assistant_id}"): (None, "assistants.delete"),
    ("POST", "/assistants/{assistant_id}/versions"): ({}, "assistants.read"),
    ("POST", "/assistants/{assistant_id}/latest"): ({"version": 1}, "assistants.update"),
    ("GET", "/assistants/{assistant_id}/graph"): (None, "assistants.read"),
    ("GET", "/assistants/{assistant_id}/schemas"): (None, "assistants.read"),
    ("GET", "/assistants/{assistant_id}/subgraphs"): (None, "assistants.read"),
    ("GET", "/assistants/{assistant_id}/subgraphs/{namespace}"): (None, "assistants.read"),
    ("POST", "/threads"): ({}, "threads.create"),
    ("POST", "/threads/search"): ({}, "threads.search"),
    ("POST", "/threads/count"): ({}, "threads.search"),
    ("POST", "/threads/prune"): ({"thread_ids": []}, "threads.delete"),
    ("GET", "/threads/{thread_id}"): (None, "threads.read"),
    ("PATCH", "/threads/{thread_id}"): ({}, "threads.update"),
    ("DELETE", "/threads/{thread_id}"): (None, "threads.delete"),
    ("POST", "/threads/{thread_id}/copy"): (None, "threads.read threads.create"),
    ("GET", "/threads/{thread_id}/state"): (None, "threads.read"),
    ("POST", "/threads/{thread_id}/state"): ({"values": {}}, "threads.update"),
    ("POST", "/threads/{thread_id}/state/checkpoint"): ({"checkpoint": {}}, "threads.read"),
    ("GET", "/threads/{thread_id}/state/{checkpoint_id}"): (None, "threads.read"),
    ("GET", "/threads/{thread_id}/history"): (None, "threads.read"),
    ("POST", "/threads/{thread_id}/history"): ({}, "threads.read"),
    ("POST", "/threads/{thread_id}/runs"): (RUN, "threads.create_run"),
    ("POST", "/threads/{thread_id}/runs/wait"): (RUN, "threads.create_run"),
    ("POST", "/threads/{thread_id}/runs/stream"): (RUN, "threads.create_run"),
    ("GET", "/threads/{thread_id}/runs"): (None, "threads.read threads.search"),
    ("GET", "/threads/{thread_id}/runs/{run_id}"): (None, "threads.read"),
    ("DELETE", "/threads/{thread_id}/runs/{run_id}"): (None, "threads.delete"),
    ("GET", "/threads/{thread_id}/runs/{run_id}/join"): (None, "threads.read"),
    ("GET", "/threads/{thread_id}/runs/{run_id}/stream"): (None, "threads.read"),
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel"): (None, "threads.update"),
    ("GET", "/threads/{thread_id}/stream"): (None, "threads.read"),
    ("POST", "/runs/cancel"): ({"status": "all"}, "threads.update"),
    ("POST", "/runs"): (RUN, "threads.create_run"),
    ("POST", "/runs/wait"): (RUN, "threads.create_run"),
    ("POST", "/runs/stream"): (RUN, "threads.create_run"),
    ("POST", "/runs/batch"): ([RUN, RUN], "threads.create_run threads.create_run"),
    ("POST", "/runs/crons"): (CRON, "crons.create"),
    ("POST", "/threads/{thread_id}/runs/crons"): (CRON, "crons.create threads.read"),
    ("PATCH", "/runs/crons/{cron_id}"): ({}, "crons.update"),
    ("DELETE", "/runs/crons/{cron_id}"): (None, "crons.delete"),
    ("POST", "/runs/crons/search"): ({}, "crons.search"),
    ("POST", "/runs/crons/count"): ({}, "crons.search"),
    ("PUT", "/store/items"): ({**ITEM, "value": {}}, "store.put"),
    ("GET", "/store/items"): (None, "store.get"),
    ("DELETE", "/store/items"): (ITEM, "store.delete"),
    ("POST", "/store/items/search"): ({}, "store.search"),
    ("POST", "/store/namespaces"): ({}, "store.list_namespaces"),
}
"""A request of each route, and what its handlers are asked: as the official server was observed."""

GUARDED: Final = [route for route in ROUTES if not route.is_open]


def address_of(route: Route) -> str:
    """Return an address of a route, of rows that are not there."""
    path = PARAMETER.sub(lambda _: str(uuid4()), route.path)
    return f"{path}?namespace=a&key=k" if route.path == "/store/items" else path


async def ask(
    http: httpx.AsyncClient, route: Route, who: str | None, address: str | None = None
) -> httpx.Response:
    """Send the request of a route for a user; of a stream, read the headers only."""
    body, _ = ASKED[route.method, route.path]
    headers = {} if who is None else {"Authorization": f"Bearer {who}"}
    request = http.build_request(
        route.method, address or address_of(route), json=body, headers=headers
    )
    answer = await http.send(request, stream=True)
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        await answer.aread()
    await answer.aclose()
    return answer
