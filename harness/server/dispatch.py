"""From a raw request to a reply: decode, authenticate, check, handle, and log."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

import orjson

from harness.server.auth import ANYBODY, Authenticator
from harness.server.failures import HttpError, reply_to
from harness.server.http import Call, Nothing, Reply, Route, Schema, StreamReply
from harness.server.services import Services

access: Final = logging.getLogger("harness.server.access")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A request as it came over the wire."""

    path: Mapping[str, str]
    """Parameters, still percent-encoded."""
    query: Mapping[str, Sequence[str]]
    """Names and values, still percent-encoded."""
    headers: Mapping[str, str]
    body: bytes | str


class Dispatcher:
    """Answers requests; whatever is raised becomes a reply, so no input gets a trace.

    Args:
        services: What handlers work with.
        authenticator: Who tells owners.
    """

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    async def answer(self, route: Route, raw: Raw) -> Reply | StreamReply:
        """Return the answer to a request for a route."""
        began_s = time.perf_counter()
        owner = ANYBODY
        try:
            if not route.is_open:
                owner = self._authenticator.owner_of(raw.headers)
            reply = await route.handler(self._call(route, raw, owner))
        except Exception as exc:  # noqa: BLE001 -- each is turned into a reply, the unknown logged
            reply = reply_to(exc)
        elapsed_s = time.perf_counter() - began_s
        status = reply.status if isinstance(reply, Reply) else 200
        metrics = self._services.metrics
        metrics.requests.labels(route.method, route.path, status).inc()
        metrics.seconds.labels(route.method, route.path).observe(elapsed_s)
        access.info(
            json.dumps(
                {
                    "method": route.method,
                    "route": route.path,
                    "status": status,
                    "ms": round(1_000 * elapsed_s, 2),
                    "owner": owner,
                }
            )
        )
        return reply

    def _call(self, route: Route, raw: Raw, owner: str) -> Call[Any, Any]:
        body = self._body(route.body, raw.body)
        query = {
            unquote_plus(name): [unquote_plus(v) for v in vs] for name, vs in raw.query.items()
        }
        return Call(
            path={name: unquote(value) for name, value in raw.path.items()},
            query=_query(route.query, query),
            body=body,
            headers=raw.headers,
            owner=owner,
            services=self._services,
        )

    def _body(self, kind: type[Schema], body: bytes | str) -> Schema:
        if kind is Nothing:
            return Nothing()
        if len(body) > self._services.config.max_body_bytes:
            most = self._services.config.max_body_bytes
            raise HttpError(413, f"the body is larger than {most} bytes")
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise HttpError(422, "Invalid JSON in request body") from None
        return kind.model_validate(document)


def _query(kind: type[Schema], given: Mapping[str, Sequence[str]]) -> Schema:
    """Read a query; of a name that is given several times, a list takes all and others the last."""
    lists = {
        name
        for name, field in kind.model_fields.items()
        if "list" in str(field.annotation) or "tuple" in str(field.annotation)
    }
    return kind.model_validate(
        {name: list(vs) if name in lists else vs[-1] for name, vs in given.items() if vs}
    )
