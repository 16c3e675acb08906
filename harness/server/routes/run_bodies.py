"""What a run is asked to do, over HTTP."""

from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from harness.models import IfNotExists, MultitaskStrategy, OnRunCompleted
from harness.server.http import Schema
from harness.storage.resources.runs import MAX_DELAY_S

StreamMode = Literal[
    "values",
    "updates",
    "messages",
    "messages-tuple",
    "custom",
    "events",
    "debug",
    "tasks",
    "checkpoints",
]
Durability = Literal["sync", "async", "exit"]
OnDisconnect = Literal["cancel", "continue"]

NOT_ASKED_OF_THE_GRAPH: Final = frozenset(
    {"assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds", "run_id"}
)
"""Fields of a body that stand beside a run's `kwargs`, not in them."""


class SendBody(Schema):
    """A node to go to, and what to give it."""

    node: str
    input: Any = None


class CommandBody(Schema):
    """How an interrupted graph goes on."""

    update: dict[str, Any] | list[Any] | None = None
    resume: Any = None
    goto: SendBody | str | list[SendBody | str] | None = None


class ConfigBody(Schema):
    """LangChain's config, as far as callers may set it."""

    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    recursion_limit: int | None = Field(default=None, ge=1)
    max_concurrency: int | None = Field(default=None, ge=1)
    run_name: str | None = None
    configurable: dict[str, Any] | None = None


class CheckpointBody(Schema):
    """Where in a thread's history to begin."""

    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_map: dict[str, Any] | None = None


class StatelessBody(Schema):
    """A run on a thread of its own. `webhook` and `feedback_keys` are accepted and ignored."""

    assistant_id: str
    """Its id, or the name of a graph."""
    input: Any = None
    command: CommandBody | None = None
    metadata: dict[str, Any] | None = None
    config: ConfigBody | None = None
    context: dict[str, Any] | None = None
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    stream_mode: list[StreamMode] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    durability: Durability | None = None
    checkpoint_during: bool | None = None
    on_disconnect: OnDisconnect | None = None
    on_completion: OnRunCompleted | None = None
    after_seconds: float | None = Field(default=None, ge=0, le=MAX_DELAY_S, allow_inf_nan=False)
    webhook: str | None = None
    feedback_keys: list[str] | None = None

    @field_validator("stream_mode", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @model_validator(mode="after")
    def _consistent(self) -> "StatelessBody":
        if self.command is not None and self.input is not None:
            raise ValueError("a run has an input or a command, not both")
        return self

    def kwargs(self) -> dict[str, Any]:
        """Return what was given for the graph, under the SDK's names."""
        return self.model_dump(
            exclude_unset=True, exclude_none=True, exclude=set(NOT_ASKED_OF_THE_GRAPH)
        )


class RunBody(StatelessBody):
    """A run on a thread."""

    checkpoint: CheckpointBody | None = None
    checkpoint_id: str | None = None
    multitask_strategy: MultitaskStrategy | None = None
    if_not_exists: IfNotExists | None = None


class NewRunBody(RunBody):
    """A run that is executed in the background."""

    run_id: str | None = None
    """Its id, which the official server makes itself."""
