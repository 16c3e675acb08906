"""Nothing asked for in a request is ignored in silence: each field has its effect or is refused."""

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.integration import owners
from tests.integration.fields import assistants, crons, runs, store, threads, under_way
from tests.integration.fields.registry import (
    CHECKS,
    HOW_TO_SEND,
    RESOURCES,
    ROWS,
    route_rows,
    sdk_rows,
)
from tests.integration.fields.ways import refused
from tests.integration.owners import client_of

if TYPE_CHECKING:  # it is a plugin, and not to be imported before that
    from tests.integration.serving_fixtures import Servers

pytest_plugins = ("tests.integration.serving_fixtures",)
MODULES = (assistants, crons, runs, store, threads, under_way)
"""Whose import fills the table."""


@pytest.mark.slow_in_memory
@pytest.mark.invariant(55)
@pytest.mark.filterwarnings("ignore:.checkpoint_during. is deprecated")
@pytest.mark.parametrize("name", CHECKS)
async def test_a_field_has_its_effect_or_is_refused(client: LangGraphClient, name: str) -> None:
    """What a check of the table shows of its fields, in memory and on Postgres."""
    await CHECKS[name](client)


@pytest.mark.invariant(55)
def test_the_table_is_whole() -> None:
    """Each parameter of the SDK and each field of the OpenAPI document has a row, and no other."""
    known = {*sdk_rows(), *route_rows()}
    assert sorted(known - ROWS.keys()) == []
    assert sorted(ROWS.keys() - known) == []
    assert {check.rpartition(".")[0] for check in CHECKS} == {
        module.__name__.rpartition(".")[2] for module in MODULES
    }


@pytest.mark.slow_in_memory
@pytest.mark.invariant(55)
async def test_headers_are_sent_by_every_method(servers: "Servers") -> None:
    """A token that is none, given with a call, is what the server sees instead of the client's."""
    alice = client_of(await servers.get(owners.SETTINGS), "alice")
    wrong = {"Authorization": "Bearer nonsense"}
    some: dict[str, Any] = {"schedule": "0 0 * * *", "namespace": ["a"], "payloads": []}
    for resource in RESOURCES:
        for name, method in inspect.getmembers(getattr(alice, resource), inspect.ismethod):
            if name.startswith("_") or (resource, name) == ("threads", "stream"):
                continue  # `threads.stream` sends nothing by itself
            parameters = inspect.signature(method).parameters
            assert HOW_TO_SEND.keys() <= parameters.keys()
            needed = {
                key: some.get(key, "x")
                for key, one in parameters.items()
                if one.default is inspect.Parameter.empty
            }
            call = inspect.signature(method).bind_partial()
            call.arguments.update({key: needed[key] for key in parameters if key in needed})
            work = _answered(method(*call.args, **call.kwargs, headers=wrong))
            assert await refused(work) == 401, (resource, name)


async def _answered(called: Any) -> Any:
    """Return what a call of the client comes to; of a stream the first part."""
    answer = await called if inspect.isawaitable(called) else called
    if hasattr(answer, "__aiter__"):
        return await anext(aiter(answer))
    return answer
