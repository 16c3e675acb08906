"""LangGraph's `Auth` object, as a `langgraph.json` names it: who calls, and who may do what."""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, is_dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import orjson
from langgraph_sdk import Auth
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request

from harness.config import Deployment
from harness.config.headers import is_token, is_value
from harness.errors import ConfigError, HarnessError, InvalidInput
from harness.server.access.filters import Filter, filter_of
from harness.server.access.restricting import restricted
from harness.server.access.table import TABLE, Access
from harness.server.access.values import AnyCall
from harness.server.encoding import text_of
from harness.server.failures import LONGEST_DETAIL, HttpError
from harness.server.http import Raw, Reply, Route
from harness.server.loading import import_from, load
from harness.server.user_code import ends_task
from harness.server.users import RESERVED_OWNERS, User
from harness.storage.checks import check_owner

logger = logging.getLogger("harness.server")

_REFUSALS: Final = (Auth.exceptions.HTTPException, StarletteHTTPException)
_BROKEN: Final = "the server's own authorization failed; its log says why"
_FRAMING: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "transfer-encoding"}
)
"""Headers that say how an answer is sent: the server's own, whatever a handler says."""


class Handlers:
    """Runs the handlers of an `Auth` object.

    Args:
        deployment: Names the object.

    Raises:
        ConfigError: It cannot be loaded, is none, has no `authenticate`, or one that wants an
            argument that there is not.
    """

    def __init__(self, deployment: Deployment) -> None:
        assert deployment.auth is not None  # noqa: S101 -- asked before
        import_from(deployment.folders)
        path = deployment.auth.path
        found = load("auth", path, deployment.folder, module="harness_auth")
        if not isinstance(found, Auth):
            raise ConfigError(
                f"auth: {path} is no langgraph_sdk.Auth, but a {type(found).__name__}"
            )
        authenticate = found._authenticate_handler  # noqa: SLF001 -- nothing public tells
        if authenticate is None:
            raise ConfigError(f"auth: {path} has no handler for @auth.authenticate")
        self._authenticate: Callable[..., Any] = authenticate
        self._arguments = _arguments_of(authenticate)
        self._handlers = {**found._handlers, ("*", "*"): found._global_handlers}  # noqa: SLF001 -- likewise

    async def user_of(self, raw: Raw) -> User:
        """Return who calls.

        Raises:
            HttpError: What the handler says; 401, it says nobody; 503, it raised something else.
        """
        given = {name: make(raw) for name, make in self._arguments.items()}
        with _answering("@auth.authenticate", otherwise=HTTPStatus.UNAUTHORIZED):
            found = self._authenticate(**given)
            return _user(await found if inspect.isawaitable(found) else found)

    async def authorized(self, route: Route, call: AnyCall) -> AnyCall | Reply:
        """Return the call as it may be answered, or the answer where it can find nothing.

        Raises:
            HttpError: What a handler says; 403, it says no; 503, it raised something else.
            NotFound: Its filter hides what the call is about.
        """
        answered: AnyCall | Reply = call
        for access in TABLE[route.method, route.path]:
            if isinstance(answered, Reply):  # the one that a search can find nothing
                return answered
            runs = getattr(answered.body, "runs", None)
            if isinstance(runs, list):  # a batch
                answered = await self._each(access, answered, runs)
            else:
                answered = await self._asked(access, answered)
        if getattr(call.query, "delete_threads", False) and not isinstance(answered, Reply):
            await self._asked(DELETE_THREADS, answered)
        return answered

    async def _each(self, access: Access, call: AnyCall, bodies: list[Any]) -> AnyCall:
        made = []
        for body in bodies:
            asked = await self._asked(access, replace(call, body=body))
            assert not isinstance(asked, Reply)  # noqa: S101 -- no run is a search
            made.append(asked.body)
        return replace(call, body=call.body.model_copy(update={"runs": made}))

    async def _asked(self, access: Access, call: AnyCall) -> AnyCall | Reply:
        """Ask the most specific handler about one resource and action."""
        resource, action = access.resource, access.action
        keys = ((resource, action), (resource, "*"), ("*", action), ("*", "*"))
        handler = next((self._handlers[key][-1] for key in keys if self._handlers.get(key)), None)
        if handler is None:
            return call
        assert call.user is not None  # noqa: S101 -- `user_of` raises otherwise
        context = Auth.types.AuthContext(
            permissions=list(call.user.permissions),
            user=call.user,
            resource=resource,
            action=action,  # type: ignore[arg-type]  # one of them
        )
        before = access.shape.shown(call)
        value = deepcopy(before)
        with _answering(f"{resource}.{action}", otherwise=HTTPStatus.FORBIDDEN):
            said = await handler(ctx=context, value=value)
            wanted = _filter(said)
            call = access.shape.applied(call, before, value)
        return call if not wanted else await restricted(call, access, wanted)


DELETE_THREADS: Final = Access(resource="threads", action="delete", rows="all_of_assistant")
"""What deleting an assistant with its threads is besides."""


def check_table(routes: tuple[Route, ...]) -> None:
    """Refuse to serve a route that no handler would be asked about.

    Raises:
        ConfigError: There is one.
    """
    for route in routes:
        if not route.is_open and (route.method, route.path) not in TABLE:
            raise ConfigError(f"nobody can say who may {route.method} {route.path}")


def _filter(said: Any) -> Filter:
    """Return what a handler's answer restricts the caller to."""
    if said is False:
        raise HttpError(403, "Forbidden")
    if said is None or said is True:
        return {}
    if isinstance(said, Mapping):
        return filter_of(said)
    raise InvalidInput(f"a handler answers None, True, False or a filter, not {said!r:.80}")


@contextmanager
def _answering(handler: str, *, otherwise: HTTPStatus) -> Iterator[None]:
    """Turn whatever a handler raises into the answer to the request.

    Args:
        handler: Its name, for the log.
        otherwise: The status of a failed assertion, and of a refusal whose own is no error's.

    Raises:
        HttpError: What the handler says; 503, it raised something else, which is logged.
        CancelledError: The request was cancelled.
    """
    try:
        yield
    except HttpError:
        raise
    except BaseException as exc:
        if ends_task(exc):
            raise
        refusal = _refusal(exc, otherwise)
        if refusal is None:
            logger.exception("the handler of %s failed", handler)
            refusal = HttpError(503, _BROKEN)
        raise refusal from exc


def _refusal(exc: BaseException, otherwise: HTTPStatus) -> HttpError | None:
    """Return the answer that an error of a handler asks for; None: it asks for none that can be."""
    try:
        if isinstance(exc, _REFUSALS):
            return _refused(exc, otherwise)
        if isinstance(exc, AssertionError):
            return HttpError(otherwise, _text(exc) or otherwise.phrase)
    except BaseException as second:  # noqa: BLE001 -- whatever the error's own code raises
        exc.__context__ = second
    return None


def _refused(exc: Any, otherwise: HTTPStatus) -> HttpError:
    status = exc.status_code
    if not isinstance(status, int):
        raise InvalidInput(f"a status is a whole number, not a {type(status).__name__}")
    headers = {}
    for name, value in dict(exc.headers or {}).items():
        if not (isinstance(name, str) and is_token(name) and is_value(str(value))):
            raise InvalidInput("a header's name or value cannot be sent")
        if name.lower() not in _FRAMING:
            headers[name] = str(value)
    return HttpError(status if 400 <= status < 600 else otherwise, _text(exc.detail), headers)


def _text(said: Any) -> str:
    found = text_of(lambda: str(said), LONGEST_DETAIL)
    if found is None:
        raise InvalidInput("the text of what a handler raised cannot be read")
    return found


def _user(found: Any) -> User:
    """Return what `authenticate` answers: a text, an object or a mapping with an `identity`."""
    said = {"identity": found} if isinstance(found, str) else _fields(found)
    identity = said.pop("identity", None)
    permissions = said.pop("permissions", None) or ()
    try:
        owner = check_owner(identity)
    except HarnessError as exc:
        raise HttpError(401, "nobody was authenticated") from exc
    if owner in RESERVED_OWNERS:
        raise HttpError(401, f"nobody can be {owner!r}")
    return User(owner, tuple(map(str, permissions)), said)


def _fields(found: Any) -> dict[str, Any]:
    if found is None:
        return {}
    if isinstance(found, Mapping):
        return dict(found)
    if isinstance(found, BaseModel):
        return found.model_dump()
    if is_dataclass(found) and not isinstance(found, type):
        return asdict(found)
    named = ("identity", "permissions", "display_name", "is_authenticated")
    told = {name: getattr(found, name) for name in named if hasattr(found, name)}
    return {**{k: v for k, v in getattr(found, "__dict__", {}).items() if k[0] != "_"}, **told}


def _scope(raw: Raw) -> dict[str, Any]:
    """Return the request as ASGI has it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": raw.method,
        "path": unquote(raw.address),
        "raw_path": raw.address.encode(),
        "root_path": "",
        "query_string": raw.query_string.encode(),
        "headers": _pairs(raw),
        "path_params": _path(raw),
        "client": (raw.client, 0) if raw.client else None,
        "server": None,
    }


def _request(raw: Raw) -> Request:
    body = raw.body.encode() if isinstance(raw.body, str) else bytes(raw.body)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(_scope(raw), receive)


def _body(raw: Raw) -> Any:
    try:
        return orjson.loads(raw.body) if raw.body else None
    except orjson.JSONDecodeError:
        return None  # the route refuses it


def _pairs(raw: Raw) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode(), value.encode())
        for name, values in raw.all_headers.items()
        for value in values
    ]


def _path(raw: Raw) -> dict[str, str]:
    return {name: unquote(value) for name, value in raw.path.items()}


_ARGUMENTS: Final[Mapping[str, Callable[[Raw], Any]]] = {
    "request": _request,
    "scope": _scope,
    "body": _body,
    "path": lambda raw: unquote(raw.address),
    "method": lambda raw: raw.method,
    "path_params": _path,
    "query_params": lambda raw: Request(_scope(raw)).query_params,
    "headers": lambda raw: dict(_pairs(raw)),
    "authorization": lambda raw: raw.headers.get("authorization"),
}
"""What `authenticate` may want, by the names of its parameters."""


def _arguments_of(authenticate: Callable[..., Any]) -> dict[str, Callable[[Raw], Any]]:
    wanted: dict[str, Callable[[Raw], Any]] = {}
    for parameter in inspect.signature(authenticate).parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        if parameter.name in _ARGUMENTS:
            wanted[parameter.name] = _ARGUMENTS[parameter.name]
        elif parameter.default is parameter.empty:
            known = ", ".join(_ARGUMENTS)
            raise ConfigError(
                f"auth: authenticate wants {parameter.name!r}; there is {known} to be had"
            )
    return wanted
