"""From a raw request to a reply: decode, authenticate, check, handle, and log."""

import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

import orjson

from harness.database import on_behalf_of
from harness.errors import InvalidInput
from harness.server.auth import Guard
from harness.server.cors import Origins
from harness.server.encoding import encode
from harness.server.failures import HttpError, reply_to, told
from harness.server.http import Call, Nothing, Raw, Reply, Route, Schema, StreamReply
from harness.server.limits import check_limits
from harness.server.logs import about
from harness.server.services import Services
from harness.server.streams import Closing
from harness.server.user_code import ends_task
from harness.server.users import ANYBODY, User
from harness.storage.resources.ownership import new_id
from harness.storage.values import INT_MAX, INT_MIN

access: Final = logging.getLogger("harness.server.access")

_LONG_NUMBER: Final = re.compile(rb"\d{19}")
"""Stands in every text of a number that does not fit into 64 bits, and in few others."""


_ID: Final = re.compile(r"[0-9a-fA-F-]{32,36}")
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")


class Dispatcher:
    """Answers requests; whatever is raised becomes a reply, so no input gets a trace.

    Args:
        services: What handlers work with.
        guard: Who tells owners, and what they may do.
    """

    def __init__(self, services: Services, guard: Guard) -> None:
        self._services = services
        self._guard = guard
        self._origins = Origins(services.config.cors)

    async def answer(self, route: Route, raw: Raw) -> Reply | StreamReply:
        """Return the answer to a request for a route."""
        began_s = time.perf_counter()
        owner: str | None = None
        request_id = _request_id(raw.headers)
        with about(request_id=request_id, **_ids_in(raw.path)):
            try:
                user = None
                if not route.is_open:
                    user = await self._guard.user_of(raw)
                    owner = ANYBODY if user is None else user.identity
                call = self._call(route, raw, owner or ANYBODY, user)
                with on_behalf_of(call.owner):
                    asked = call if user is None else await self._guard.authorized(route, call)
                    reply = asked if isinstance(asked, Reply) else await route.handler(asked)
                reply = self._sized(reply)
                if raw.method == "HEAD":
                    reply = await _without_body(reply)
            except BaseException as exc:  # each is turned into a reply, the unknown logged
                if ends_task(exc):
                    raise
                reply = reply_to(exc)
            self._note(
                raw.method,
                route.path,
                reply.status if isinstance(reply, Reply) else 200,
                took_s=time.perf_counter() - began_s,
                owner=owner,
            )
        return self._marked(reply, raw.headers, request_id)

    def refuse(self, raw: Raw, allowed: Sequence[str]) -> Reply | StreamReply:
        """Return the answer to a request that is for no route.

        Args:
            raw: The request.
            allowed: Methods that the same path is served for.
        """
        request_id = _request_id(raw.headers)
        reply = None
        if raw.method == "OPTIONS" and allowed:
            reply = self._origins.preflight(raw.headers, allowed)
        if reply is None:
            status = HTTPStatus.METHOD_NOT_ALLOWED if allowed else HTTPStatus.NOT_FOUND
            headers = {"Allow": ", ".join(allowed)} if allowed else {}
            reply = told(int(status), status.phrase, headers)
        with about(request_id=request_id):
            self._note(raw.method, None, reply.status, took_s=0.0, owner=None)
        return self._marked(reply, raw.headers, request_id)

    def _marked(
        self, reply: Reply | StreamReply, headers: Mapping[str, str], request_id: str
    ) -> Reply | StreamReply:
        """Return a reply with the headers that each has."""
        further = {"X-Request-Id": request_id, **self._origins.headers(headers)}
        return replace(reply, headers={**further, **reply.headers})

    def _note(
        self, method: str, route: str | None, status: int, *, took_s: float, owner: str | None
    ) -> None:
        metrics = self._services.metrics
        metrics.requests.labels(method, route or "", status).inc()
        metrics.seconds.labels(method, route or "").observe(took_s)
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1_000 * took_s, 2),
        }
        if owner is not None:
            fields["owner"] = owner
        access.info("%s %s %d", method, route, status, extra={"fields": fields})

    def _call(self, route: Route, raw: Raw, owner: str, user: User | None) -> Call[Any, Any]:
        try:
            path = {name: unquote(value, errors="strict") for name, value in raw.path.items()}
            query = {
                unquote_plus(name, errors="strict"): [unquote_plus(v, errors="strict") for v in vs]
                for name, vs in raw.query.items()
            }
        except UnicodeDecodeError:
            raise HttpError(422, "the address is not UTF-8") from None
        return Call(
            path=path,
            query=_query(route.query, query),
            body=self._body(route.body, raw.body),
            headers=raw.headers,
            owner=owner,
            services=self._services,
            user=user,
        )

    def _body(self, kind: type[Schema], body: bytes | str) -> Schema:
        if kind is Nothing:
            return Nothing()
        given = body.encode() if isinstance(body, str) else body
        if len(given) > self._services.config.max_body_bytes:
            most = self._services.config.max_body_bytes
            raise HttpError(413, f"the body is larger than {most} bytes")
        document = _document(given)
        check_limits(document, self._services.config, is_search=kind.is_search)
        return kind.model_validate(document, strict=True)

    def _sized(self, reply: Reply | StreamReply) -> Reply | StreamReply:
        """Return an answer as text.

        Raises:
            HttpError: 422, it is too large.
        """
        if isinstance(reply, StreamReply) or reply.status == HTTPStatus.NO_CONTENT:
            return reply
        text, headers = reply.body, reply.headers
        if not isinstance(text, str) or "Content-Type" not in headers:
            text, headers = encode(text), {**headers, "Content-Type": "application/json"}
        most = self._services.config.max_answer_bytes
        if len(text) > most:  # characters are bytes at least
            raise HttpError(
                422,
                f"the answer is larger than {most} bytes: ask for fewer (limit) or less (select)",
            )
        return Reply(body=text, status=reply.status, headers=headers)


def _request_id(headers: Mapping[str, str]) -> str:
    """Return the caller's id of a request, or a new one where it has none that can be written."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def _ids_in(path: Mapping[str, str]) -> dict[str, str]:
    """Return what of a path may be logged: no text that only stands where an id should."""
    found = {name: path[name] for name in ("thread_id", "run_id") if name in path}
    return {name: text for name, text in found.items() if _ID.fullmatch(text)}


async def _without_body(reply: Reply | StreamReply) -> Reply | StreamReply:
    """Return what HEAD is answered: what GET would be, where the HTTP server leaves out the body.

    Of a stream, nothing is begun.
    """
    if isinstance(reply, Reply):
        return reply
    if isinstance(reply.pieces, Closing):
        await reply.pieces.aclose()
    return Reply(body="", headers={**reply.headers, "Content-Type": reply.media_type})


def _document(body: bytes) -> Any:
    """Return what JSON text says.

    Raises:
        HttpError: 422, it is none.
        InvalidInput: It has an integer outside 64 bits, which orjson would make a float.
    """
    try:
        document = orjson.loads(body)
        if _LONG_NUMBER.search(body):
            json.loads(body, parse_int=_integer)
    except (orjson.JSONDecodeError, RecursionError):
        raise HttpError(422, "Invalid JSON in request body") from None
    return document


def _integer(text: str) -> int:
    if len(text) <= len(str(INT_MIN)) and INT_MIN <= int(text) <= INT_MAX:
        return int(text)
    raise InvalidInput(f"the integer {text:.40} does not fit into 64 bits")


def _query(kind: type[Schema], given: Mapping[str, Sequence[str]]) -> Schema:
    """Read a query; of a name that is given several times, a list takes all and others the last."""
    lists = _lists(kind)
    return kind.model_validate(
        {name: list(vs) if name in lists else vs[-1] for name, vs in given.items() if vs}
    )


@cache
def _lists(kind: type[Schema]) -> frozenset[str]:
    return frozenset(
        name
        for name, field in kind.model_fields.items()
        if "list" in str(field.annotation) or "tuple" in str(field.annotation)
    )
