"""Functions that make graphs: given what they declare, awaited, entered and left."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig
from langgraph.store.base import BaseStore
from langgraph_sdk.runtime import (  # the public name is their union, which cannot be called
    AccessContext,
    ServerRuntime,
    _ExecutionRuntime,
    _ReadRuntime,
)
from pydantic import TypeAdapter

from harness.errors import GraphUnusable, HarnessError
from harness.server.execution.outcomes import error_of, error_text
from harness.server.user_code import ends_task
from harness.server.users import User

Need = Literal["config", "runtime"]

_RUNTIMES: Final = (ServerRuntime, _ExecutionRuntime, _ReadRuntime)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a graph is wanted for."""

    access: AccessContext
    config: RunnableConfig
    """The run's; of reads, one that says nothing."""
    user: User | None
    """Who wants it; None without authentication."""
    context: Mapping[str, Any] | None = None
    """The run's."""


class Factory:
    """A function that makes graphs.

    Args:
        name: The graph's, for errors.
        make: The function; it may be a coroutine function, and may return a context manager.

    Raises:
        GraphUnusable: It wants an argument that there is not.
    """

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self._name, self._make = name, make
        try:
            hints = get_type_hints(make)
        except Exception:  # noqa: BLE001 -- names that only a type checker can see
            hints = dict(getattr(make, "__annotations__", {}))
        parameters = inspect.signature(make).parameters.values()
        asked = [p for p in parameters if p.kind not in _VARIADIC]
        self._needs: dict[str, tuple[Need, Any, bool]] = {}
        for parameter in asked:
            hint = hints.get(parameter.name, parameter.empty)
            need = _need(parameter.name, hint, alone=len(asked) == 1)
            if need is not None:
                by_place = parameter.kind is parameter.POSITIONAL_ONLY
                self._needs[parameter.name] = need, hint, by_place
            elif parameter.default is parameter.empty:
                raise GraphUnusable(
                    f"graph {name!r} cannot be made: its function wants {parameter.name!r}, and "
                    "there is a `config: RunnableConfig` and a `runtime: ServerRuntime` to be had"
                )

    @property
    def is_asked_each_time(self) -> bool:
        """Whether what it makes may depend on what it is made for."""
        return bool(self._needs)

    async def make(self, purpose: Purpose, store: BaseStore) -> Any:
        """Call the function, and return what it made: a graph, a builder or a context manager.

        Raises:
            GraphUnusable: It raised something.
        """
        with telling(self._name, "made"):
            given: list[Any] = []
            named: dict[str, Any] = {}
            for name, (need, hint, by_place) in self._needs.items():
                value = purpose.config if need == "config" else _runtime(purpose, hint, store)
                if by_place:
                    given.append(value)
                else:
                    named[name] = value
            made = self._make(*given, **named)
            return await made if inspect.isawaitable(made) else made


def is_context(made: object) -> bool:
    """Whether a graph has to be entered and left."""
    return isinstance(made, AbstractAsyncContextManager | AbstractContextManager)


@asynccontextmanager
async def entered(name: str, made: Any) -> AsyncIterator[Any]:
    """Enter a context manager, yield its graph, and leave it in the same task.

    It hears of what is raised within, but cannot have it forgotten.

    Raises:
        GraphUnusable: It raised something itself.
    """
    waits = isinstance(made, AbstractAsyncContextManager)
    with telling(name, "entered"):
        graph = await made.__aenter__() if waits else made.__enter__()

    async def leave(*raised: Any) -> None:
        if waits:
            await made.__aexit__(*raised)
        else:
            made.__exit__(*raised)

    try:
        yield graph
    except BaseException as exc:
        try:
            await leave(type(exc), exc, exc.__traceback__)
        except BaseException as second:  # the first says what went wrong
            if ends_task(second):
                raise
            exc.add_note(f"leaving the graph then raised {error_text(error_of(second))}")
        raise
    with telling(name, "left"):
        await leave(None, None, None)


@contextmanager
def telling(name: str, done: str) -> Iterator[None]:
    """Say of whatever a user's code raises which graph it is about.

    Raises:
        GraphUnusable: Something was raised within, be it what would end a process.
        CancelledError: The task was cancelled.
    """
    try:
        yield
    except HarnessError:
        raise
    except BaseException as exc:
        if ends_task(exc):
            raise
        raise GraphUnusable(
            f"graph {name!r} cannot be {done}: {error_text(error_of(exc))}"
        ) from exc


def _need(name: str, hint: Any, *, alone: bool) -> Need | None:
    """Return what a parameter is for: by its type, else by its name, else as the only one."""
    if hint is RunnableConfig or "RunnableConfig" in str(hint):
        return "config"
    if hint in _RUNTIMES or get_origin(hint) in _RUNTIMES or "ServerRuntime" in str(hint):
        return "runtime"
    if name in {"config", "runtime"}:
        return name  # type: ignore[return-value]  # it is one of them
    return "config" if alone else None


def _runtime(purpose: Purpose, hint: Any, store: BaseStore) -> Any:
    if purpose.access != "threads.create_run":
        return _ReadRuntime(access_context=purpose.access, user=purpose.user, store=store)
    context: Any = purpose.context
    kinds = get_args(hint)
    if kinds and kinds[0] not in {None, type(None), Any}:
        context = TypeAdapter(kinds[0]).validate_python(dict(context or {}))
    return _ExecutionRuntime(
        access_context=purpose.access, user=purpose.user, store=store, context=context
    )
