"""From what a run was asked to do to what `graph.astream` takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_STRICT_RESUME
from langgraph.types import Command, Send

from harness.agents.graph import Graph
from harness.models import Assistant, Run
from harness.server.execution.identity import (
    given,
    given_metadata,
    identity_of,
    is_reserved,
    user_of,
)

_Setting = Literal["recursion_limit", "max_concurrency", "run_name"]
_OWN_SETTINGS: Final[tuple[_Setting, ...]] = ("recursion_limit", "max_concurrency", "run_name")
DEFAULT_MODES: Final = ("values",)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRequest:
    """What a graph is called with."""

    input: Any
    config: RunnableConfig
    context: Mapping[str, Any] | None
    modes: tuple[str, ...]
    """The stream modes that were asked for, each once."""
    subgraphs: bool
    options: Mapping[str, Any]
    """Where to interrupt, and how durable checkpoints are."""


def config_of(run: Run, assistant: Assistant, owner: str) -> RunnableConfig:
    """Merge the assistant's config and the run's, and say in it who runs what where.

    The run's comes before the assistant's, and what the server says before both: neither can name
    another thread, run or user (`harness.server.execution.identity`).
    """
    asked: Mapping[str, Any] = run.kwargs.get("config") or {}
    names = {
        "run_id": run.run_id,
        "assistant_id": run.assistant_id,
        "graph_id": assistant.graph_id,
    }
    configurable = {
        "user_id": owner,
        **given(assistant.config.get("configurable")),
        **given(run.kwargs.get("context")),
        **given(asked.get("configurable")),
        **_checkpoint_of(run.kwargs),
        **names,
        "thread_id": run.thread_id,
        **identity_of(user_of(run, owner)),
    }
    settings = {**assistant.config, **asked}
    config = RunnableConfig(
        tags=[*(assistant.config.get("tags") or ()), *(asked.get("tags") or ())],
        metadata={
            **given_metadata(assistant.metadata),
            **given_metadata(asked.get("metadata")),
            **given_metadata(run.metadata),
            **names,
            "run_attempt": run.attempt,
        },
        configurable=configurable,
        run_id=UUID(run.run_id),
    )
    for name in _OWN_SETTINGS:
        if settings.get(name) is not None:
            config[name] = settings[name]
    return config


def request_of(
    run: Run, assistant: Assistant, graph: Graph, config: RunnableConfig, *, continues: bool
) -> GraphRequest:
    """Return what to call the graph with.

    Args:
        run: What is asked for.
        assistant: Whose context the run's is laid over.
        graph: Which graph.
        config: Of `config_of`.
        continues: The thread's head is this run's own: go on from there, without an input.
    """
    asked = run.kwargs
    if continues:
        configurable = {**config["configurable"]}
        for name in ("checkpoint_id", "checkpoint_ns", "checkpoint_map"):
            configurable.pop(name, None)
        config = {**config, "configurable": configurable}
    command = asked.get("command")
    if asked.get("strict_resume"):
        strict = {CONFIG_KEY_STRICT_RESUME: True}
        config = {**config, "configurable": {**config["configurable"], **strict}}
    options = {name: asked.get(name) for name in ("interrupt_before", "interrupt_after")}
    return GraphRequest(
        input=None if continues else command_of(command) if command else asked.get("input"),
        config=config,
        context=_context(graph, context_of(run, assistant), config),
        modes=modes_of(asked),
        subgraphs=bool(asked.get("stream_subgraphs")),
        options={
            **{name: value for name, value in options.items() if value is not None},
            "durability": _durability(asked),
        },
    )


def context_of(run: Run, assistant: Assistant) -> dict[str, Any]:
    """Return the run's context, laid over the assistant's."""
    return {**given(assistant.context), **_overlay(run.kwargs)}


def modes_of(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the stream modes that a run was asked for, each once."""
    modes = asked.get("stream_mode") or DEFAULT_MODES
    return tuple(dict.fromkeys([modes] if isinstance(modes, str) else modes))


def command_of(command: Mapping[str, Any]) -> Command[Any]:
    """Return LangGraph's command for the one of a body."""
    update, goto = command.get("update"), command.get("goto")
    if isinstance(update, list) and all(_is_pair(entry) for entry in update):
        update = [(name, value) for name, value in update]
    targets = goto if isinstance(goto, list) else [] if goto is None else [goto]
    return Command(
        update=update,
        resume=command.get("resume"),
        goto=[t if isinstance(t, str) else Send(t["node"], t.get("input")) for t in targets],
    )


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, Sequence) and len(entry) == 2 and isinstance(entry[0], str)


def _durability(asked: Mapping[str, Any]) -> str:
    during = asked.get("checkpoint_during")
    older = "async" if during is None or during else "exit"
    return str(asked.get("durability") or older)


def _checkpoint_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the run begins, if it is not at the thread's head."""
    names = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
    given = {name: value for name, value in (asked.get("checkpoint") or {}).items() if value}
    if asked.get("checkpoint_id"):
        given["checkpoint_id"] = asked["checkpoint_id"]
    return {name: given[name] for name in names if name in given}


def _overlay(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's context, which `config["configurable"]` mirrors."""
    return given((asked.get("config") or {}).get("configurable")) | given(asked.get("context"))


def _context(graph: Graph, said: dict[str, Any], config: RunnableConfig) -> dict[str, Any] | None:
    """Return the part of the context that the graph knows; what it knows none of, all of it.

    What is the server's to say, and the graph wants to know, is the config's.
    """
    schema = graph.get_context_jsonschema()
    if schema is None:
        return said or None
    known = schema.get("properties", {})
    own = {name: value for name, value in config["configurable"].items() if is_reserved(name)}
    return {name: value for name, value in {**said, **own}.items() if name in known}
