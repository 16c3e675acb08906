"""LangGraph's `Auth` object: what its handlers are given, and what is made of their answers."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from harness.config import Deployment
from harness.errors import ConfigError, InvalidInput
from harness.server.access.filters import filter_of, matches, within
from harness.server.access.handlers import Handlers, _user, check_table
from harness.server.failures import HttpError
from harness.server.http import Raw
from harness.server.routes import ROUTES
from harness.server.users import RESERVED_OWNERS, User
from harness.storage.memory.jsonb import contains

AUTH = """
from langgraph_sdk import Auth
auth = Auth()

@auth.authenticate
async def who({parameters}):
    {body}
"""


def handlers(
    folder: Path, parameters: str = "", body: str = "return 'ada'", path: str = "./auth.py:auth"
) -> Handlers:
    """Load an `Auth` object whose `authenticate` takes these parameters."""
    (folder / "auth.py").write_text(AUTH.format(parameters=parameters, body=body) + "other = 1\n")
    file = folder / "langgraph.json"
    file.write_text(json.dumps({"graphs": {"a": "./a.py:a"}, "auth": {"path": path}}))
    return Handlers(Deployment.read(file))


RAW = Raw(
    method="POST",
    address="/threads/a%20b/runs",
    path={"thread_id": "a%20b"},
    query={"x": ["1", "2%20"]},
    all_headers={"authorization": ["Bearer t"], "x-two": ["a", "b"]},
    headers={"authorization": "Bearer t", "x-two": "b"},
    body='{"k": [1]}',
    client="192.0.2.1",
)


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    ("parameters", "expression", "expected"),
    [
        ("method, path", "f'{method} {path}'", "POST /threads/a b/runs"),
        ("authorization: str | None", "authorization", "Bearer t"),
        ("headers", "headers[b'authorization'].decode()", "Bearer t"),
        ("path_params", "path_params['thread_id']", "a b"),
        ("query_params", "','.join(query_params.getlist('x'))", "1,2 "),
        ("body", "str(body['k'])", "[1]"),
        ("scope", "scope['raw_path'].decode()", "/threads/a%20b/runs"),
        ("request", "request.headers['Authorization']", "Bearer t"),
        ("request", "request.client.host", "192.0.2.1"),
        ("request", "str((await request.json())['k'])", "[1]"),
        ("request", "','.join(request.headers.getlist('x-two'))", "a,b"),
        ("request, *, size=3, **rest", "request.url.path + str(size)", "/threads/a b/runs3"),
    ],
)
async def test_authenticate_gets_what_it_names(
    tmp_path: Path, parameters: str, expression: str, expected: str
) -> None:
    """Each argument that LangGraph documents, and no other."""
    found = handlers(tmp_path, parameters, f"return {expression}")
    assert (await found.user_of(RAW)).identity == expected


@pytest.mark.invariant(55)
async def test_a_cancelled_request_ends(tmp_path: Path) -> None:
    """A handler that waits is cancelled with its request: that is no mistake of the handler."""
    began = "import asyncio\n    began.set()\n    await asyncio.sleep(60)"
    found = handlers(tmp_path, "began=None", began)
    event = asyncio.Event()
    found._authenticate.__defaults__ = (event,)
    task = asyncio.create_task(found.user_of(RAW))
    await event.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parameters": "secret"}, "authenticate wants 'secret'"),
        ({"path": "./auth.py:other"}, "is no langgraph_sdk.Auth, but a int"),
        ({"path": "./auth.py:Auth()"}, "auth cannot be loaded: AttributeError"),
        ({"path": "./none.py:auth"}, "auth cannot be loaded: FileNotFoundError"),
        ({"body": "return (", "path": "./auth.py:auth"}, "auth cannot be loaded: SyntaxError"),
    ],
)
def test_an_object_that_cannot_be_used(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    """It is refused at the start: nobody is let in by a mistake."""
    with pytest.raises(ConfigError, match=says):
        handlers(tmp_path, **settings)


def test_an_object_that_authenticates_nobody(tmp_path: Path) -> None:
    """Without `authenticate` it is refused, too."""
    (tmp_path / "none.py").write_text("from langgraph_sdk import Auth\nauth = Auth()\n")
    with pytest.raises(ConfigError, match=r"has no handler for @auth\.authenticate"):
        handlers(tmp_path, path="./none.py:auth")


def test_every_route_is_in_the_table() -> None:
    """A server whose handlers could not be asked about a route does not start."""
    check_table(ROUTES)


@dataclass
class Named:
    """A user as an object."""

    identity: str = "ada"
    permissions: tuple[str, ...] = ("wade",)
    team: str = "tides"


class Modelled(BaseModel):
    """A user as a model."""

    identity: str = "ada"
    permissions: list[str] = ["wade"]
    team: str = "tides"


class Plain:
    """A user as any object: what LangGraph calls `MinimalUser`."""

    def __init__(self) -> None:
        self.team = "tides"
        self._hidden = 1

    @property
    def identity(self) -> str:
        """Who it is."""
        return "ada"

    @property
    def permissions(self) -> list[str]:
        """What they may do."""
        return ["wade"]


@pytest.mark.parametrize(
    "said",
    [
        Named(),
        Modelled(),
        Plain(),
        {"identity": "ada", "permissions": ["wade"], "team": "tides"},
    ],
)
def test_whatever_names_a_user_is_one(said: Any) -> None:
    """Objects, models and mappings alike, with all that they say."""
    user = _user(said)
    assert (user.identity, user.permissions, user["team"]) == ("ada", ("wade",), "tides")
    assert user.team == "tides"
    assert "team" in user
    assert {*user} == {"identity", "permissions", "team", "is_authenticated", "display_name"}
    assert "tides" not in repr(user)
    again = User.restored("ada", user.stored())
    assert again.to_dict() == user.to_dict()


@pytest.mark.parametrize(
    "said", [None, {}, "", 7, [], {"identity": None}, *sorted(RESERVED_OWNERS), "x" * 10_000]
)
def test_whatever_names_nobody_is_refused(said: Any) -> None:
    """With 401, and never with a user of no name or of one that stands for nobody."""
    with pytest.raises(HttpError) as refused:
        _user(said)
    assert refused.value.status == 401


@pytest.mark.parametrize(
    "said",
    [
        {"$or": []},
        {"a": {"$gt": 1}},
        {"a": {"$eq": [1]}},
        {"a": {"$eq": 1, "$contains": 2}},
        {"a": None},
        {"a": ["b"]},
        {"a": {"$contains": [{}]}},
        {1: "a"},
    ],
)
def test_a_filter_that_says_nothing_of_rows_is_refused(said: Any) -> None:
    """It is a mistake, which restricts nobody by chance."""
    with pytest.raises(InvalidInput):
        filter_of(said)


SCALARS = st.one_of(st.text(max_size=2), st.integers(-1, 2), st.booleans())
VALUES = st.one_of(
    SCALARS, st.none(), st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=1), SCALARS)
)
METADATA = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
FILTERS = st.dictionaries(
    st.sampled_from("abc"),
    st.one_of(
        SCALARS,
        st.builds(lambda value: {"$eq": value}, SCALARS),
        st.builds(lambda value: {"$contains": value}, SCALARS),
        st.builds(lambda values: {"$contains": values}, st.lists(SCALARS, max_size=2)),
    ),
    max_size=2,
)


@given(METADATA, METADATA, FILTERS)
def test_reads_and_searches_agree_on_what_matches(
    metadata: dict[str, Any], looked_for: dict[str, Any], said: dict[str, Any]
) -> None:
    """A row is found beside what is looked for if it matches, and only then."""
    wanted = filter_of(said)
    both = within(looked_for, wanted)
    finds = both is not None and contains(metadata, both)
    assert finds is (contains(metadata, looked_for) and matches(metadata, wanted))
