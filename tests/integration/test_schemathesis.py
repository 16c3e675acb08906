"""Requests that Schemathesis makes up from the OpenAPI document, sent with an owner's token.

A long hunt: `pytest --hypothesis-profile=full --timeout=0 tests/integration/test_schemathesis.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from harness.server.http import Route
from harness.server.routes import ROUTES
from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS

EXAMPLES: Final = max(settings().max_examples // 20, 1)
"""Requests of each kind that are sent to each route."""
MARK: Final = "only-bob-knows-this"
YEARLY: Final = "0 4 1 1 *"
MOST_S: Final = 0.01
"""Longest delay of a run: whoever waits for it, or reads its stream, is to see its end."""
GRAPHS: Final = ("agent", "approval", "memory", "nested", "steps", "talk")
ENDLESS: Final = "/threads/{thread_id}/stream"
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

Ids = Mapping[str, str]


class Caller(requests.Session):
    """An owner's session with a server."""

    def __init__(self, url: str, owner: str) -> None:
        super().__init__()
        self.url = url
        self.headers["Authorization"] = f"Bearer {token_of(owner)}"

    def send_json(self, method: str, path: str, body: Any = None) -> Any:
        """Return what is answered to a request that is in order."""
        answer = self.request(method, self.url + path, json=body, timeout=120)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.content else None

    def plant(self, mark: str) -> Ids:
        """Make one of everything, with the mark in every place that takes a text."""
        marked = {"mark": mark}
        thread = self.send_json("POST", "/threads", {"metadata": marked})["thread_id"]
        body = {
            "assistant_id": "agent",
            "input": {"messages": [{"role": "user", "content": mark}]},
            "metadata": marked,
        }
        self.send_json("POST", f"/threads/{thread}/runs/wait", body)
        [run] = self.send_json("GET", f"/threads/{thread}/runs")
        state = self.send_json("GET", f"/threads/{thread}/state")
        assistant = {"graph_id": "agent", "name": mark, "metadata": marked, "context": marked}
        cron = {"assistant_id": "agent", "schedule": YEARLY, "metadata": marked, "input": marked}
        item = {"namespace": ["notes", mark], "key": mark, "value": marked}
        self.send_json("PUT", "/store/items", item)
        return {
            "thread_id": thread,
            "run_id": run["run_id"],
            "checkpoint_id": state["checkpoint"]["checkpoint_id"],
            "assistant_id": self.send_json("POST", "/assistants", assistant)["assistant_id"],
            "cron_id": self.send_json("POST", "/runs/crons", cron)["cron_id"],
        }

    def everything(self, ids: Ids) -> Any:
        """Return all that there is of what was planted, as its owner sees it."""
        thread = f"/threads/{ids['thread_id']}"
        return [
            self.send_json("GET", thread),
            self.send_json("GET", f"{thread}/runs"),
            self.send_json("GET", f"{thread}/history"),
            self.send_json("GET", f"/assistants/{ids['assistant_id']}"),
            self.send_json("POST", "/runs/crons/search", {}),
            self.send_json("POST", "/store/items/search", {"namespace_prefix": ["notes"]}),
        ]


@pytest.fixture(scope="module")
def schema(server: Serving) -> BaseSchema:
    """What Schemathesis makes of the server's document."""
    load_all_checks()
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.fixture(scope="module")
def alice(server: Serving) -> Iterator[Caller]:
    """The session of the owner who asks."""
    with Caller(server.url, "alice") as caller:
        yield caller


@pytest.fixture(scope="module")
def bob(server: Serving) -> Iterator[Caller]:
    """The session of an owner whom nobody else may hear of."""
    with Caller(server.url, "bob") as caller:
        yield caller


@pytest.fixture(scope="module")
def his(bob: Caller) -> Iterator[Ids]:
    """What is his, and is the same after all that others have asked for."""
    ids = bob.plant(MARK)
    before = bob.everything(ids)
    yield ids
    assert bob.everything(ids) == before


@pytest.fixture(scope="module")
def kept(alice: Caller) -> Ids:
    """What is hers, for routes that only read."""
    return alice.plant("alice")


def cases(
    operation: APIOperation[Any, Any, Any, Any], ids: list[Ids]
) -> st.SearchStrategy[Case[Any]]:
    """Return requests that are in order and others, for what is there and for what is not."""
    parameters = [each.name for each in operation.path_parameters]
    known = [{name: each[name] for name in parameters if name in each} for each in ids]
    made = [
        operation.as_strategy(mode, path_parameters=places or None)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode == GenerationMode.POSITIVE or takes_anything(operation)
        for places in (None, *(known if any(known) else ()))
    ]
    return st.one_of(*made)


def takes_anything(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """Whether there is anything in a request for it that can be wrong."""
    return bool(operation.body or operation.query or operation.path_parameters)


@pytest.mark.hypothesis
@pytest.mark.parametrize(
    "route",
    [
        pytest.param(
            route, id=f"{route.method} {route.path}", marks=pytest.mark.slow if number % 3 else ()
        )
        for number, route in enumerate(ROUTES)
    ],
)
def test_no_request_fails_the_server(
    schema: BaseSchema, alice: Caller, kept: Ids, his: Ids, route: Route
) -> None:
    """Documented answers only, none of them an error of the server's or of another's rows (6)."""
    reads = route.method == "GET" or route.body.is_search
    mine = kept if reads else alice.plant("alice")

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases(schema[route.path][route.method], [mine, his]),
        whose=st.sampled_from([mine, his, None]),
        graph=st.sampled_from(GRAPHS),
    )
    def ask(case: Case[Any], whose: Ids | None, graph: str) -> None:
        case.body = aimed(case.body, whose, graph)
        sent = case.as_transport_kwargs(base_url=alice.url)
        sent["headers"] = {**sent["headers"], "Authorization": alice.headers["Authorization"]}
        with alice.request(**sent, timeout=120, stream=route.path == ENDLESS) as answer:
            if route.path == ENDLESS and answer.status_code == 200:
                return  # nothing comes until a run is made
            assert MARK not in answer.text
            assert MARK not in str(answer.headers)
            case.validate_response(answer, checks=CHECKS)

    ask()


def aimed(body: Any, whose: Ids | None, graph: str) -> Any:
    """Return a body with names of what is there in the places of made-up ones."""
    if isinstance(body, list):
        return [aimed(each, whose, graph) for each in body]
    if not isinstance(body, dict):
        return body
    ids = dict(whose or {})
    found = {**body}
    for name, value in body.items():
        if name == "after_seconds" and isinstance(value, int | float) and value > MOST_S:
            found[name] = MOST_S
        elif name == "graph_id" and isinstance(value, str):
            found[name] = graph
        elif name == "assistant_id" and isinstance(value, str):
            found[name] = ids.get(name, graph)
        elif name in ids and isinstance(value, str):
            found[name] = ids[name]
        elif name in ("ids", "thread_ids", "run_ids") and isinstance(value, list) and ids:
            known = ids["run_id" if name == "run_ids" else "thread_id"]
            found[name] = [known if isinstance(each, str) else each for each in value]
        elif name == "schedule" and isinstance(value, str) and whose:
            found[name] = YEARLY
    return found
