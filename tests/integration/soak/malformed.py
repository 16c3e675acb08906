"""Requests that no client means to send, made up from the routes."""

import json
import random
import string
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

from harness.server.http import PARAMETER, Nothing, Route
from harness.server.routes import ROUTES

ODD_TEXTS = (
    "",
    " ",
    "\0",
    "\ud800",
    "../..",
    "%00",
    "%",
    "%zz",
    "null",
    "-1",
    "1e400",
    "9" * 5_000,
    "a" * 5_000,
    "é\u202e",
    "'; DROP TABLE threads; --",
    "[]",
    "{}",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    -(2**63) - 1,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "\0",
    "\ud800",
    "x" * 70_000,
    [],
    [[]],
    [None],
    {},
    {"": ""},
    {"\0": 1},
    {"$gt": {"$ne": []}},
    [0] * 2_000,
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
UNKNOWN = ("BREW",)
"""Robyn answers these itself and leaves their bodies unread: nothing follows on the connection."""
ENDLESS = "/threads/{thread_id}/stream"


class Malformed:
    """Makes requests, the same ones for the same seed.

    Args:
        seed: Decides what they are.
        known: Values of path parameters that exist.
    """

    def __init__(self, seed: str, known: Mapping[str, str]) -> None:
        self._random = random.Random(f"{seed}/malformed")  # noqa: S311 -- reproducible, not secret
        self._known = known

    def requests(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield arguments of `httpx.AsyncClient.build_request`."""
        routes = [route for route in ROUTES if route.path != ENDLESS]
        for _ in range(count):
            yield self._request(self._random.choice(routes))

    def _request(self, route: Route) -> dict[str, Any]:
        chance = self._random.random
        path = PARAMETER.sub(lambda found: self._parameter(found[1]), route.path)
        if chance() < 0.05:
            path += self._random.choice(("/", "//", "/..", "/%2e%2e", "?", "/" + "a" * 2_000))
        query = {
            name: quote(self._text(), safe="")
            for name in route.query.model_fields
            if chance() < 0.5
        }
        if query:
            path += "?" + "&".join(f"{name}={value}" for name, value in query.items())
        method = route.method if chance() < 0.9 else self._random.choice(METHODS)
        headers = self._headers()
        if method in UNKNOWN:
            headers["Connection"] = "close"
        return {"method": method, "url": path, "headers": headers, **self._body(route)}

    def _parameter(self, name: str) -> str:
        if name in self._known and self._random.random() < 0.6:
            return self._known[name]
        if self._random.random() < 0.5:
            return str(UUID(int=self._random.getrandbits(128)))
        return quote(self._text(), safe="") or "%20"

    def _text(self) -> str:
        if self._random.random() < 0.6:
            odd = self._random.choice(ODD_TEXTS)
        else:
            odd = "".join(self._random.choices(string.printable, k=self._random.randrange(40)))
        return odd.encode(errors="replace").decode()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        for name in ("Last-Event-ID", "Accept", "X-Request-Id", "Origin", "Content-Type"):
            if self._random.random() < 0.1:
                odd = "".join(char for char in self._text() if " " <= char <= "~")
                headers[name] = odd if "multipart" not in odd else ""
        return headers

    def _body(self, route: Route) -> dict[str, Any]:
        chance = self._random.random()
        if chance < 0.05:
            return {"content": self._random.randbytes(self._random.randrange(200))}
        if chance < 0.1:
            return {"content": b"[" * self._random.randrange(1, 50_000)}
        if route.body is Nothing:
            return {}
        fields = {
            name: self._value(name)
            for name in route.body.model_fields
            if self._random.random() < 0.5
        }
        text = json.dumps(fields)
        if self._random.random() < 0.05:
            text = text[: self._random.randrange(len(text) + 1)]
        return {"content": text.encode(errors="surrogatepass")}

    def _value(self, name: str) -> Any:
        chance = self._random.random()
        if name == "assistant_id" and chance < 0.6:
            return "agent"
        if name == "after_seconds":
            return self._random.choice((0.001, -1, "x", None))  # so that whoever waits sees the end
        if name in self._known and chance < 0.5:
            return self._known[name]
        if chance < 0.85:
            return self._random.choice(ODD_VALUES)
        return {name: self._random.choice(ODD_VALUES), "nested": [self._random.choice(ODD_VALUES)]}
