"""What a run is asked to do, over HTTP."""

from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from harness.errors import InvalidInput
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
    {
        *("assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds"),
        *("run_id", "thread_id", "feedback_keys", "langsmith_tracer"),
    }
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


class RunBody(Schema):
    """A run on a thread of its own."""

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
    run_id: str | None = None
    """Its id, which the official server makes itself."""
    webhook: str | None = None
    """An http(s) address that is told how the run ended."""
    strict_resume: bool | None = None
    """Refuse an answer to an interrupt that does not wait: the run fails, its thread stays."""
    feedback_keys: list[str] | None = None
    """Refused unless empty: there is no LangSmith to make addresses for feedback."""
    langsmith_tracer: dict[str, Any] | None = None
    """Refused unless empty: there is no LangSmith to trace to."""
    multitask_strategy: MultitaskStrategy | None = None
    """What becomes of other runs of the thread; a thread of its own has none."""
    if_not_exists: IfNotExists | None = None
    """Whether a thread that is not there is made; one of its own always is."""
    checkpoint: CheckpointBody | None = None
    """Where in the thread's history to begin; one of its own has none."""
    checkpoint_id: str | None = None

    @field_validator("stream_mode", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @model_validator(mode="after")
    def _consistent(self) -> "RunBody":
        if self.command is not None and self.input is not None:
            raise ValueError("a run has an input or a command, not both")
        if self.feedback_keys:
            raise ValueError("feedback_keys need LangSmith, which this server does not use")
        if self.langsmith_tracer:
            raise ValueError("langsmith_tracer needs LangSmith, which this server does not use")
        return self

    def check_thread(self, thread_id: str | None) -> None:
        """Return if what is asked for can be had on this thread, or on one of its own.

        Raises:
            InvalidInput: It cannot, and would change nothing.
        """
        if thread_id is not None:
            if self.on_completion == "delete":
                raise InvalidInput("on_completion: only a run without a thread deletes its own")
            return
        if self.checkpoint is not None or self.checkpoint_id is not None:
            raise InvalidInput("checkpoint: a run without a thread has no history to begin in")
        if self.if_not_exists == "reject":
            raise InvalidInput("if_not_exists: a run without a thread always makes one")

    def kwargs(self) -> dict[str, Any]:
        """Return what was given for the graph, under the SDK's names."""
        return self.model_dump(
            exclude_unset=True, exclude_none=True, exclude=set(NOT_ASKED_OF_THE_GRAPH)
        )


class BackgroundBody(RunBody):
    """A run that nobody waits for."""

    @model_validator(mode="after")
    def _unheard(self) -> "BackgroundBody":
        if self.on_disconnect == "cancel":
            raise ValueError("on_disconnect: a run in the background has nobody to lose")
        return self


class BatchRunBody(BackgroundBody):
    """One of several runs."""

    thread_id: str | None = None
    """Where it runs; null: on a thread of its own."""
