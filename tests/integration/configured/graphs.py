"""Graphs as users have them: made in each of the ways that LangGraph's documentation shows."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greeting_of_src import GREETING  # type: ignore[import-not-found]  # `dependencies` has it
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph_sdk.runtime import ServerRuntime
from raising_of_src import ENDING  # type: ignore[import-not-found]  # likewise
from typing_extensions import TypedDict

number = 1


class State(TypedDict, total=False):
    """What a run leaves."""

    made_for: str
    """What the graph was told when it was made."""
    user: Any
    """Who runs it, as its node sees it."""


@dataclass
class Context:
    """What callers may choose."""

    tone: str = "plain"


def graph_for(made_for: str) -> StateGraph[State, Context]:
    """Return a graph that says what it was made for, and who runs it."""

    def say(state: State, config: RunnableConfig) -> State:  # noqa: ARG001 -- by name
        found = config["configurable"].get("langgraph_auth_user")
        names = ("langgraph_auth_user_id", "langgraph_auth_permissions")
        about = {name: config["configurable"].get(name) for name in names}
        user = None if found is None else {**found.to_dict(), "team": found["team"]}
        return {"made_for": made_for, "user": {**about, "user": user}}

    builder: StateGraph[State, Context] = StateGraph(State, context_schema=Context)
    builder.add_node("say", say)
    builder.add_edge(START, "say")
    builder.add_edge("say", END)
    return builder


builder = graph_for(GREETING)
compiled = builder.compile()


@entrypoint()
def entry(given: dict[str, Any]) -> dict[str, Any]:
    """A graph of the functional API."""
    return {"made_for": f"entry {given['made_for']}"}


def plain() -> Any:
    """A function without arguments."""
    return graph_for("nothing")


async def of_config(chosen: RunnableConfig) -> Any:
    """A function of the config, by its type; a coroutine."""
    return graph_for(chosen["configurable"].get("tone", "no tone"))


def of_runtime(runtime: ServerRuntime[Context]) -> Any:
    """A function of the runtime."""
    running = runtime.execution_runtime
    tone = running.context.tone if running is not None and running.context is not None else "-"
    return graph_for(f"{runtime.access_context} {tone} {runtime.ensure_user().identity}")


def of_both(runtime: ServerRuntime[Any], *, config: RunnableConfig, size: int = 3) -> Any:
    """A function of both, and of more that has a default."""
    return graph_for(f"{runtime.access_context} {config['configurable'].get('tone')} {size}")


def note(text: str) -> None:
    """Write down that something happened, where the tests read it."""
    with Path(os.environ["CONFIGURED_NOTES"]).open("a") as notes:
        notes.write(f"{text}\n")


@asynccontextmanager
async def entered(config: RunnableConfig) -> AsyncIterator[Any]:
    """A graph with something that is opened and closed."""
    thread_id = config["configurable"].get("thread_id")
    note(f"enter {thread_id}")
    yield graph_for("an open connection")
    note(f"leave {thread_id}")  # not where it is only forgotten


@contextmanager
def entered_plainly() -> Iterator[Any]:
    """Likewise, without awaiting, and it would have errors forgotten."""
    note("enter plainly")
    try:
        yield failing_node()
    except ValueError:
        note("swallow")
    note("leave plainly")


def failing_node() -> Any:
    """A graph whose node fails."""

    def fail(state: State) -> State:  # noqa: ARG001 -- by name
        raise ValueError("the tide is out")

    builder: StateGraph[State] = StateGraph(State)
    builder.add_node("wade", fail)
    builder.add_edge(START, "wade")
    return builder


def no_key() -> Any:
    """A function that fails."""
    raise RuntimeError("there is no key")


def sometimes(config: RunnableConfig) -> Any:
    """A function that wants something to be configured."""
    return graph_for(config["configurable"]["wanted"])


def raising(runtime: ServerRuntime[Any]) -> Any:
    """A function that raises what its user's token says."""
    name = getattr(runtime.user, "factory_raises", None)
    if name is not None:
        raise ENDING[name]()  # noqa: RSE102 -- it is a function
    return graph_for("somebody")


@asynccontextmanager
async def entering(runtime: ServerRuntime[Any]) -> AsyncIterator[Any]:
    """Likewise, but when its graph is entered."""
    yield raising(runtime)


@asynccontextmanager
async def leaving(runtime: ServerRuntime[Any]) -> AsyncIterator[Any]:
    """Likewise, but when its graph is left."""
    yield graph_for("somebody")
    raising(runtime)
