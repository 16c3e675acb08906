"""What goes over the wire: calls, errors and records, from the SDK's to ours and back."""

import inspect
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import httpx
import orjson
from langgraph_sdk.errors import APIStatusError

from harness.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    HarnessError,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Overloaded,
)
from harness.models import (
    Assistant,
    AssistantVersion,
    Cron,
    Item,
    Run,
    Thread,
    ThreadState,
    ThreadTtl,
)
from harness.storage.interface import JsonObject
from harness.storage.values import MAX_DEPTH

_ERRORS: Final[Mapping[int, type[HarnessError]]] = {
    400: InvalidInput,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: InvalidInput,
    422: InvalidInput,
    503: Overloaded,
}
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_DIED: Final = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)

_NOT_OF_A_RUN: Final = frozenset(
    {
        *("self", "headers", "params", "on_run_created"),
        *("thread_id", "assistant_id", "cron_id", "metadata"),
        *("multitask_strategy", "if_not_exists", "after_seconds"),
        *("schedule", "timezone", "end_time", "enabled", "on_run_completed"),
    }
)
"""Arguments of the SDK's calls that say how to send, or that stand beside what a run is to do."""

AnyT = TypeVar("AnyT")
Sending = Callable[[], Awaitable[AnyT]]
"""Sends a request through the SDK and returns the answer."""


async def read(send: Sending[AnyT]) -> AnyT:
    """Return the answer to a read; if its connection dies, it is sent once more.

    Raises:
        HarnessError: As `harness.storage.interface` says.
        DatabaseUnavailable: There is no server, or the connection died twice.
        Overloaded: The server did not answer in time, or says that it cannot.
    """
    with _translated(died=DatabaseUnavailable, late=Overloaded):
        try:
            return await send()
        except _DIED:
            return await send()


async def write(send: Sending[AnyT]) -> AnyT:
    """Return the answer to a write, which is never sent twice.

    Raises:
        HarnessError: As `harness.storage.interface` says.
        DatabaseUnavailable: There is no server; nothing was sent.
        OutcomeUnknown: The connection died, or no answer came in time; or the server itself does
            not know, which it says by a 503 without `Retry-After`.
        Overloaded: It was refused with a 503 that asks to try again.
    """
    with _translated(died=OutcomeUnknown, late=OutcomeUnknown):
        try:
            return await send()
        except APIStatusError as exc:
            if exc.response.status_code == 503 and "Retry-After" not in exc.response.headers:
                raise OutcomeUnknown(exc.message) from exc
            raise


@contextmanager
def _translated(*, died: type[HarnessError], late: type[HarnessError]) -> Iterator[None]:
    """Turn what the SDK raises into our errors.

    Args:
        died: What it is that the connection died after something was sent.
        late: What it is that no answer came in time.
    """
    try:
        yield
    except APIStatusError as exc:
        kind = _ERRORS.get(exc.response.status_code)
        if kind is None:
            raise
        raise kind(exc.message) from exc
    except _UNSENT as exc:
        raise DatabaseUnavailable(f"no server answers: {exc}") from exc
    except _DIED as exc:
        raise died(f"the connection to the server died: {exc!r}") from exc
    except httpx.TimeoutException as exc:
        raise late(f"no answer came in time: {exc!r}") from exc
    except (HarnessError, orjson.JSONDecodeError):
        raise
    except (TypeError, ValueError) as exc:  # the SDK's own checks, and orjson's
        raise InvalidInput(f"it cannot be sent: {exc}") from exc


def checked(value: Any, name: str) -> Any:
    """Return a JSON object that the SDK sends as it is; None stays None.

    What is wrong but can be sent is left to the server. The SDK writes NaN and infinity as null,
    keys as text and sets as lists, and what is empty, such as `[]`, it does not send at all.

    Raises:
        InvalidInput: The server would get something else.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} must be an object, not {type(value).__name__}")
    _check_json(value, name, 0)
    return value


def given(value: AnyT, name: str) -> AnyT:
    """Return an argument that the SDK does not send where it is empty; None stays None.

    Raises:
        InvalidInput: It is empty, and would be taken for not given.
    """
    if value == "":
        raise InvalidInput(f"{name} must not be empty")
    return value


def needed(value: AnyT, name: str) -> AnyT:
    """Return an argument that the SDK does not send where it is empty or None.

    Raises:
        InvalidInput: It is, and would be taken for not given, or for another path.
    """
    if value is None:
        raise InvalidInput(f"{name} must be given")
    return given(value, name)


def body(**asked: Any) -> dict[str, Any]:
    """Return a body for the few requests that the SDK's own methods cannot send."""
    return {name: value for name, value in asked.items() if value is not None}


def names_of(call: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the arguments by which a call of the SDK says what to run."""
    return frozenset(inspect.signature(call).parameters) - _NOT_OF_A_RUN


def arguments(value: JsonObject | None, name: str, names: frozenset[str]) -> dict[str, Any]:
    """Return what a run is asked to do as arguments of a call of the SDK.

    Args:
        value: What `storage` calls `kwargs` or `payload`.
        name: How it is called.
        names: What the call takes.

    Raises:
        InvalidInput: It is no object, or holds what the API has no place for.
    """
    asked = dict(checked(value, name) or {})
    if unknown := asked.keys() - names:
        raise InvalidInput(f"the API has no place for {name}[{min(unknown)!r}]")
    return asked


def _check_json(value: Any, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        return  # refused by the server, whatever is further down
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"{where}: keys must be strings, not {type(key).__name__}")
            _check_json(item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_json(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(f"{where}: {value} is not a JSON number")
    elif value is not None and not isinstance(value, str | int):
        raise InvalidInput(f"{where}: {type(value).__name__} is not a JSON type")


def assistant_version(found: Mapping[str, Any]) -> AssistantVersion:
    """Read a version of an assistant."""
    return AssistantVersion(**_version(found))


def assistant(found: Mapping[str, Any]) -> Assistant:
    """Read an assistant."""
    return Assistant(**_version(found), updated_at=_time(found["updated_at"]))


def _version(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_fields(found, "assistant_id", "version", "graph_id", "name", "description"),
        **_fields(found, "config", "context", "metadata"),
        "created_at": _time(found["created_at"]),
    }


def thread(found: Mapping[str, Any]) -> Thread:
    """Read a thread; which checkpoint is its head and how long it lives, not every server tells."""
    return Thread(
        **_fields(found, "thread_id", "status", "values", "metadata"),
        checkpoint_id=found.get("checkpoint_id"),
        interrupts=found.get("interrupts") or {},
        error=found.get("error"),
        created_at=_time(found["created_at"]),
        updated_at=_time(found["updated_at"]),
        state_updated_at=_time(found["state_updated_at"]),
        ttl=_ttl(found.get("ttl")),
    )


def _ttl(found: Mapping[str, Any] | None) -> ThreadTtl | None:
    if found is None:
        return None
    return ThreadTtl(
        **_fields(found, "ttl_minutes", "strategy"), expires_at=_time(found["expires_at"])
    )


def state(found: Mapping[str, Any]) -> ThreadState:
    """Read a state."""
    created_at = found["created_at"]
    return ThreadState(
        **_fields(found, "values", "checkpoint", "parent_checkpoint", "metadata"),
        next=list(found["next"]),
        tasks=list(found["tasks"]),
        interrupts=list(found.get("interrupts", ())),
        created_at=None if created_at is None else _time(created_at),
    )


def run(found: Mapping[str, Any]) -> Run:
    """Read a run; its attempts, its error and when it is due, not every server tells."""
    return Run(
        **_fields(found, "run_id", "thread_id", "assistant_id", "status", "kwargs", "metadata"),
        multitask_strategy=found["multitask_strategy"],
        attempt=found.get("attempt", 0),
        error=found.get("error"),
        due_at=_time(found.get("due_at", found["created_at"])),
        created_at=_time(found["created_at"]),
        updated_at=_time(found["updated_at"]),
    )


def item(found: Mapping[str, Any]) -> Item:
    """Read an item."""
    return Item(
        **_fields(found, "key", "value"),
        namespace=tuple(found["namespace"]),
        created_at=_time(found["created_at"]),
        updated_at=_time(found["updated_at"]),
    )


def cron(found: Mapping[str, Any]) -> Cron:
    """Read a cron."""
    end, due = found["end_time"], found["next_run_date"]
    return Cron(
        **_fields(found, "cron_id", "assistant_id", "thread_id", "schedule", "timezone"),
        **_fields(found, "payload", "enabled", "metadata"),
        on_run_completed=found["on_run_completed"] or "delete",
        end_time=None if end is None else _time(end),
        next_run_date=None if due is None else _time(due),
        created_at=_time(found["created_at"]),
        updated_at=_time(found["updated_at"]),
    )


def _fields(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: found[name] for name in names}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
