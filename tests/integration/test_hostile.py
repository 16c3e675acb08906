"""Requests that nobody who means well sends: each has a clear answer, and none is a 500."""

import asyncio
import json
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import pytest

from harness.faults.served import ServerEnded
from harness.models import SYSTEM
from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS

NESTED = b'{"a":' * 300 + b"1" + b"}" * 300
LONG_NAME = b'{"metadata": {"' + b"a" * 5_000 + b'": "\\u0000"}}'
DEEP = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
MAX_BODY_BYTES = 16 * 2**20


@pytest.fixture
def http(server: Serving) -> httpx.AsyncClient:
    """An owner's plain HTTP client."""
    return server.http(token_of("alice"))


async def spoken(server: Serving, request: bytes) -> bytes:
    """Send bytes as they are; return all that is answered; nothing where they are not read."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def request(
    method: str, path: str, *headers: str, body: bytes = b"", owner: str = "alice"
) -> bytes:
    """Return the bytes of a request, after which the connection is to be closed."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token_of(owner)}",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


def status_of(answer: bytes) -> int:
    """Return the status of an answer, which must show no trace of the code."""
    assert b"Traceback" not in answer
    assert b'File "' not in answer
    return int(answer.split(b" ", 2)[1])


class TestBodies:
    """What comes as JSON."""

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(DEEP, id="deep"),
            pytest.param(b'{"metadata": ' + NESTED + b"}", id="nested"),
            pytest.param(LONG_NAME, id="long name"),
            pytest.param(b"[" * 100_000, id="open brackets"),
            pytest.param(b'{"metadata": {"a": "\\u0000"}}', id="NUL"),
            pytest.param(b'{"metadata": {"\\u0000": 1}}', id="NUL in a name"),
            pytest.param(b'{"metadata": {"a": "\\ud800"}}', id="lone surrogate"),
            pytest.param(b'{"metadata": {"a": "\xed\xa0\x80"}}', id="lone surrogate in UTF-8"),
            pytest.param(b'{"metadata": {"a": NaN}}', id="NaN"),
            pytest.param(b'{"metadata": {"a": -Infinity}}', id="infinity"),
            pytest.param(b'{"metadata": {"a": 1e400}}', id="1e400"),
            pytest.param(b'{"metadata": {"a": 9223372036854775808}}', id="2**63"),
            pytest.param(b'{"metadata": {"a": ' + b"9" * 5_000 + b"}}", id="5000 digits"),
            pytest.param(b'{"metadata": "x"', id="cut off"),
            pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
            pytest.param(b"null", id="null"),
            pytest.param(b'"text"', id="text"),
            pytest.param(b"", id="nothing"),
        ],
    )
    async def test_what_is_no_body_is_refused(
        self, http: httpx.AsyncClient, content: bytes
    ) -> None:
        """422 in one line, whatever route it is sent to, and nothing is made."""
        before = (await http.post("/threads/count", json={})).json()
        for path in ("/threads", "/threads/search", "/runs", "/runs/crons", "/assistants"):
            answer = await http.post(path, content=content)
            told = answer.json()
            assert (answer.status_code, list(told)) == (422, ["detail"]), (path, answer.text)
            assert "\n" not in told["detail"]
            assert len(told["detail"]) <= 1_000
        assert (await http.post("/threads/count", json={})).json() == before

    @pytest.mark.parametrize(
        "body",
        [
            {"thread_id": {"$ne": None}},
            {"thread_id": "'; DROP TABLE threads; --"},
            {"metadata": {"owner": "bob"}},
            {"metadata": {"owner": SYSTEM}},
        ],
    )
    async def test_whose_and_which_is_not_for_the_caller_to_make_up(
        self, http: httpx.AsyncClient, body: Any
    ) -> None:
        """An id is a UUID, and the owner is the token's."""
        assert (await http.post("/threads", json=body)).status_code == 422

    async def test_depth_that_is_kept(self, http: httpx.AsyncClient) -> None:
        """What is deep but not too deep comes back as it was."""
        deep: Any = 1
        for _ in range(40):
            deep = {"a": [deep]}
        made = await http.post("/threads", json={"metadata": {"deep": deep}})
        assert made.status_code == 200
        assert made.json()["metadata"]["deep"] == deep

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x", ""])
    async def test_the_content_type_is_not_looked_at(
        self, http: httpx.AsyncClient, kind: str
    ) -> None:
        """JSON is JSON whatever it says that it is, as with the official server."""
        answer = await http.post("/threads", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 200

    async def test_too_much(self, server: Serving, http: httpx.AsyncClient) -> None:
        """413 beyond the limit, and the server goes on."""
        content = b'{"metadata": {"a": "' + b"x" * MAX_BODY_BYTES + b'"}}'
        answer = await http.post("/threads", content=content)
        assert answer.status_code == 413
        assert answer.json() == {"detail": f"the body is larger than {MAX_BODY_BYTES} bytes"}
        assert (await http.get("/ok")).status_code == 200

    @pytest.mark.xfail(
        strict=True, reason="Robyn 0.88 answers 500 itself, before any handler is called"
    )
    async def test_a_broken_multipart_body(self, http: httpx.AsyncClient) -> None:
        """No body of the caller's is the server's failure."""
        headers = {"Content-Type": "multipart/form-data"}
        answer = await http.post("/threads", content=b"{}", headers=headers)
        assert answer.status_code < 500


class TestAddresses:
    """What comes in the first line."""

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/threads/%00", 422),
            ("/threads/%ff", 422),
            ("/threads/%zz", 422),
            ("/threads/%", 422),
            ("/threads/..%2f..%2fetc%2fpasswd", 422),
            ("/threads/../threads/count", 404),
            ("/threads/" + "x" * 8_000, 422),
            ("/threads/%F0%9F%99%82", 422),
            ("/threads//runs", 422),
            ("//threads", 404),
            ("/nothing", 404),
            ("/nothing/%0d%0aX-Evil:1", 404),
            ("/" + "x/" * 2_000, 404),
            ("/store/items?namespace=a&key=%ff", 422),
            ("/store/items?key=k&namespace=a&key=missing", 200),
            ("/store/items?namespace&key", 400),
            ("/store/items?namespace=a&key=%00", 422),
            ("/store/items?&&&=&namespace=a&key=k", 200),
            ("/assistants/agent/graph?xray=%0d%0a", 422),
            ("/assistants/agent/graph?xray=99999999999999999999", 422),
        ],
    )
    async def test_each_has_an_answer(self, server: Serving, path: str, status: int) -> None:
        """One of ours, in JSON, whatever the address holds."""
        answer = await spoken(server, request("GET", path))
        assert status_of(answer) == status, answer
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"application/json" in head
        assert b"x-evil" not in head.lower()
        assert status == 200 or list(json.loads(body)) == ["detail"]

    async def test_an_address_that_is_too_long(self, server: Serving) -> None:
        """It is refused, and the server goes on."""
        answer = await spoken(server, request("GET", "/threads/" + "x" * 200_000))
        assert answer == b"" or 400 <= status_of(answer) < 500
        assert status_of(await spoken(server, request("GET", "/ok"))) == 200

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
    async def test_a_wrong_method(self, http: httpx.AsyncClient, method: str) -> None:
        """405 in JSON, with what is allowed; 404 where there is nothing at all."""
        answer = await http.request(method, "/runs/wait")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert method == "HEAD" or answer.json() == {"detail": "Method Not Allowed"}
        answer = await http.request(method, "/no/such/place")
        assert answer.status_code == 404
        assert method == "HEAD" or answer.json() == {"detail": "Not Found"}

    @pytest.mark.parametrize("method", ["TRACE", "QUERY", "get", "\x01"])
    async def test_no_method(self, server: Serving, method: str) -> None:
        """What HTTP does not have, or we do not speak, is the caller's mistake."""
        answer = await spoken(server, request(method, "/threads/count"))
        assert answer == b"" or 400 <= status_of(answer) < 500


class TestHeaders:
    """What comes in between."""

    @pytest.mark.parametrize(
        "header",
        [
            "Last-Event-ID: \xff",
            "Last-Event-ID: 1-2-3",
            "Last-Event-ID: 99999999999999999999999-0",
            "Last-Event-ID: -5",
            "Prefer: \xe9\xe9",
            "X-Long: " + "x" * 20_000,
            "Accept: nothing/at-all",
            "Accept-Encoding: \x7f",
        ],
    )
    async def test_each_has_an_answer(
        self, server: Serving, http: httpx.AsyncClient, header: str
    ) -> None:
        """What cannot be read is ignored or refused."""
        values = await http.post("/runs/wait", json={"assistant_id": "steps", "input": {}})
        path = values.headers["content-location"]
        made = await http.post("/threads", json={})
        path = f"/threads/{made.json()['thread_id']}/runs"
        for place in (f"{path}/{uuid4()}/stream", path):
            answer = await spoken(server, request("GET", place, header))
            assert 200 <= status_of(answer) < 500, answer
        assert (await http.get("/ok")).status_code == 200

    async def test_nothing_is_smuggled_into_an_answer(self, http: httpx.AsyncClient) -> None:
        """Where a run is said to be, ids stand in their one form."""
        thread_id = str(uuid4())
        body = {"assistant_id": "steps", "input": {}, "if_not_exists": "create"}
        place = f"/threads/{thread_id.upper()}%0d%0aX-Evil:%201/runs"
        answer = await http.post(place, json=body)
        assert answer.status_code == 422
        assert "x-evil" not in answer.headers
        answer = await http.post(f"/threads/{thread_id.upper()}/runs", json=body)
        assert answer.headers["content-location"].startswith(f"/threads/{thread_id}/runs/")


async def test_nothing_of_it_is_logged_as_a_failure(server: Serving) -> None:
    """The log names routes and statuses: no trace, no body, no token."""
    token, before = token_of("alice"), len(server.log())  # other tests share the server
    async with server.http(token) as http:
        await http.post("/threads", content=b'{"metadata": {"secret": "hunter2"')
        await http.post("/threads", json={"thread_id": "hunter2"})
        await http.get("/threads/hunter2?token=hunter2")
    log = server.log()[before:]
    assert "hunter2" not in log
    assert token not in log
    assert token.rpartition(".")[2] not in log
    assert "Traceback" not in log
    assert '"status": 500' not in log


class TestBrokenRequests:
    """Connections that end too early, and bodies that are no HTTP."""

    async def test_who_leaves_in_the_middle_of_a_body(self, server: Serving) -> None:
        """Half a body, or half a chunk of one, and the connection breaks: nothing comes of it."""
        for head, body in (
            ("Content-Length: 1000", "abc"),
            ("Transfer-Encoding: chunked", "5\r\nab"),
        ):
            host, _, port = server.url.removeprefix("http://").partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"POST /threads HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}".encode())
            await writer.drain()
            writer.transport.abort()
            assert (await server.http().get("/ok")).status_code == 200

    @pytest.mark.xfail(
        strict=True, raises=ServerEnded, reason="Robyn 0.88 panics, which ends the process"
    )
    async def test_a_chunk_of_no_length(self) -> None:
        """What breaks the rules of HTTP breaks its own connection and no other."""
        chunk = b"POST /threads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n"
        async with Serving() as server:
            await spoken(server, chunk)
            assert (await server.http().get("/ok")).status_code == 200

    @pytest.mark.xfail(
        strict=True,
        raises=TimeoutError,
        reason="Robyn 0.88 leaves the body unread, and nothing more is answered",
    )
    async def test_after_a_method_that_nobody_knows(self, server: Serving) -> None:
        """What follows on the same connection is answered."""
        host, _, port = server.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        with closing(writer):
            writer.write(b"BREW /threads HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            assert b" 405 " in await reader.readline()
            writer.write(b"{}GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(1):
                await reader.readuntil(b"HTTP/1.1 200")
