"""The Storage protocol: five resources, asynchronous, with `langgraph_sdk`'s method names.

What the SDK has a call for stands here, in five `…Store` protocols. What it has none for stands in
the narrow protocols of `harness.storage.extensions`, so that a backend which lacks one can say so.

Promises that hold for every call:

- `owner` is required. What is not there, or belongs to somebody else, raises `NotFound`; rows of
  owner `system` are readable by all, and writing them raises `Forbidden`.
- Bad arguments raise `InvalidInput` before anything is written.
- `search` is newest first by default, `id` breaks ties; `count` is the number `search` would find.
- With a database, every call may raise `Overloaded`, `DatabaseUnavailable` and, when it writes,
  `OutcomeUnknown`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Protocol

from harness.models import (
    Assistant,
    AssistantVersion,
    Cron,
    IfExists,
    IfNotExists,
    Item,
    MultitaskStrategy,
    OnRunCompleted,
    PruneStrategy,
    Run,
    RunStatus,
    SortOrder,
    Thread,
    ThreadState,
    ThreadStatus,
)

JsonObject = Mapping[str, Any]

AssistantSortBy = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
ThreadSortBy = Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"]
ItemSortBy = Literal["key", "created_at", "updated_at"]
ThreadTtlGiven = float | Mapping[str, Any]
"""Minutes, or an object with `ttl` (minutes) and perhaps a `strategy`, as in the SDK's calls."""
CronSortBy = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "created_at",
    "updated_at",
    "next_run_date",
    "end_time",
]


class Keep(Enum):
    """The default of an argument whose None means something: leave it as it is."""

    KEEP = "keep"


class AssistantStore(Protocol):
    """Assistants and their versions."""

    async def create(
        self,
        graph_id: str,
        config: JsonObject | None = None,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        assistant_id: str | None = None,
        if_exists: IfExists = "raise",
        name: str | None = None,
        description: str | None = None,
        owner: str,
    ) -> Assistant:
        """Store a new assistant at version 1, named "Untitled" unless told otherwise.

        `config["configurable"]` and `context` mirror each other; giving both is `InvalidInput`.

        Raises:
            Conflict: The id is taken (with `do_nothing`: by another owner).
        """

    async def get(self, assistant_id: str, *, owner: str) -> Assistant:
        """Return an assistant."""

    async def update(
        self,
        assistant_id: str,
        *,
        graph_id: str | None = None,
        config: JsonObject | None = None,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        name: str | None = None,
        description: str | None = None,
        owner: str,
    ) -> Assistant:
        """Make a new version; metadata merges shallowly, what is given otherwise replaces.

        Every call counts, one that changes nothing too. The new version is the highest plus one.
        Giving `config` replaces `context` by its `configurable` (or `{}`); giving only `context`
        replaces `config["configurable"]` and leaves the rest of `config`.
        """

    async def search(
        self,
        *,
        metadata: JsonObject | None = None,
        graph_id: str | None = None,
        name: str | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: AssistantSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Assistant]:
        """Find assistants by metadata containment, graph, and part of the name in any case."""

    async def count(
        self,
        *,
        metadata: JsonObject | None = None,
        graph_id: str | None = None,
        name: str | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find without a limit."""

    async def delete(self, assistant_id: str, *, delete_threads: bool = False, owner: str) -> None:
        """Remove an assistant, its versions and crons; threads, runs and state stay.

        With `delete_threads` the owner's threads whose `metadata.assistant_id` names it go too.
        """

    async def get_versions(
        self,
        assistant_id: str,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        *,
        owner: str,
    ) -> list[AssistantVersion]:
        """Return versions, newest first."""

    async def set_latest(self, assistant_id: str, version: int, *, owner: str) -> Assistant:
        """Go back to a version: everything that it holds, its number included, is current again.

        Raises:
            NotFound: There is no such assistant or version.
        """


class ThreadStore(Protocol):
    """Threads, their state and its history."""

    async def create(
        self,
        *,
        metadata: JsonObject | None = None,
        thread_id: str | None = None,
        if_exists: IfExists = "raise",
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> Thread:
        """Store a new, idle thread.

        A thread with a time to live (`ttl`, minutes above 0, fractions allowed) is over so long
        after its last update, be it of its metadata, its state or its runs; never while a run is
        active. With the strategy `delete`, the default, it is then as good as gone, with its
        states, runs, crons and checkpoints, swept or not: every call answers as if it had never
        been, and its id is free. With `keep_latest` a sweep removes all but its latest state.
        None is the storage's default, which is for ever unless it was given another.

        Raises:
            Conflict: The id is taken (with `do_nothing`: by another owner).
        """

    async def get(self, thread_id: str, *, owner: str) -> Thread:
        """Return a thread."""

    async def update(
        self,
        thread_id: str,
        *,
        metadata: JsonObject,
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> Thread:
        """Merge metadata shallowly; a `ttl` replaces the thread's, None leaves it."""

    async def search(
        self,
        *,
        metadata: JsonObject | None = None,
        values: JsonObject | None = None,
        ids: Sequence[str] | None = None,
        status: ThreadStatus | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: ThreadSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Thread]:
        """Find threads by metadata and values containment, ids and status."""

    async def count(
        self,
        *,
        metadata: JsonObject | None = None,
        values: JsonObject | None = None,
        ids: Sequence[str] | None = None,
        status: ThreadStatus | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find without a limit."""

    async def delete(self, thread_id: str, *, owner: str) -> None:
        """Remove a thread with its states, runs and crons; a reused id starts empty."""

    async def copy(self, thread_id: str, *, owner: str) -> Thread:
        """Return a new thread with the same metadata, states and checkpoint ids, and no runs.

        The copy belongs to the caller; its status is the original's, `idle` for a busy one.
        """

    async def prune(
        self,
        thread_ids: Sequence[str],
        *,
        strategy: PruneStrategy = "delete",
        owner: str,
    ) -> int:
        """Delete threads, or all but their latest state; return how many threads were there.

        Ids that are missing or somebody else's are passed over.
        """

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None = None, *, owner: str
    ) -> ThreadState:
        """Return the head state, or the one at a checkpoint; empty where there is none."""

    async def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: str | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> list[ThreadState]:
        """Return states, newest first, those before checkpoint `before` (not included).

        A `before` that the thread does not have is preceded by nothing: the list is empty.
        """


class RunStore(Protocol):
    """Runs of threads."""

    async def create(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        kwargs: JsonObject | None = None,
        metadata: JsonObject | None = None,
        multitask_strategy: MultitaskStrategy = "enqueue",
        if_not_exists: IfNotExists = "reject",
        after_seconds: float = 0,
        run_id: str | None = None,
        owner: str,
    ) -> Run:
        """Queue a run: it is `pending`, its thread `busy` and stamped with assistant and graph.

        `kwargs` holds what else the SDK's call takes: input, command, config, stream_mode, …
        An assistant of owner `system` can be run by everybody, a thread of it by nobody else.

        Raises:
            Conflict: The id is taken, or the strategy is `reject` and a run is pending or running.
            Forbidden: The thread is owner `system`'s.
            NotFound: There is no such assistant, or no such thread and `if_not_exists` is `reject`.
        """

    async def get(self, thread_id: str, run_id: str, *, owner: str) -> Run:
        """Return a run."""

    async def list(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        offset: int = 0,
        status: RunStatus | None = None,
        owner: str,
    ) -> list[Run]:
        """Return a thread's runs, newest first.

        Raises:
            NotFound: There is no such thread.
        """

    async def delete(self, thread_id: str, run_id: str, *, owner: str) -> None:
        """Remove a run; if it kept its thread busy, the thread becomes idle."""


class ItemStore(Protocol):
    """The key-value store: JSON objects under namespaces. A key of one owner never meets another's.

    Owner `system`'s items can be read by everybody, behind the reader's own of the same address.
    """

    async def put_item(
        self,
        namespace: Sequence[str],
        /,
        key: str,
        value: JsonObject,
        *,
        ttl: float | None = None,
        owner: str,
    ) -> None:
        """Store a value in the place of the old one; `ttl` is minutes, None for ever."""

    async def get_item(
        self, namespace: Sequence[str], /, key: str, *, refresh_ttl: bool = True, owner: str
    ) -> Item | None:
        """Return an item, None if there is none; reading starts its time to live anew."""

    async def delete_item(self, namespace: Sequence[str], /, key: str, *, owner: str) -> None:
        """Remove an item; it is no error if there is none."""

    async def search_items(
        self,
        namespace_prefix: Sequence[str],
        /,
        *,
        filter: JsonObject | None = None,  # noqa: A002 -- the SDK's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool = True,
        sort_by: ItemSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Item]:
        """Find items under the prefix's labels; for `filter` see `harness.storage.filters`."""

    async def list_namespaces(
        self,
        prefix: Sequence[str] | None = None,
        suffix: Sequence[str] | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
        *,
        owner: str,
    ) -> list[tuple[str, ...]]:
        """List the namespaces that hold items, by code point, each once; `*` matches any label."""


class CronStore(Protocol):
    """Schedules that make runs."""

    async def create(
        self,
        assistant_id: str,
        *,
        schedule: str,
        thread_id: str | None = None,
        payload: JsonObject | None = None,
        metadata: JsonObject | None = None,
        timezone: str | None = None,
        end_time: datetime | None = None,
        enabled: bool = True,
        on_run_completed: OnRunCompleted | None = None,
        cron_id: str | None = None,
        owner: str,
    ) -> Cron:
        """Store a cron; `payload` holds the run arguments of the SDK's calls.

        `on_run_completed` says what becomes of the thread that a firing made; `delete` by default.

        Raises:
            Conflict: The id is taken.
            NotFound: There is no such assistant or thread.
        """

    async def update(
        self,
        cron_id: str,
        *,
        schedule: str | None = None,
        timezone: str | None = None,
        payload: JsonObject | None = None,
        metadata: JsonObject | None = None,
        end_time: datetime | Keep | None = Keep.KEEP,
        enabled: bool | None = None,
        on_run_completed: OnRunCompleted | None = None,
        owner: str,
    ) -> Cron:
        """Change a cron; the next date follows schedule and end time.

        Metadata and payload merge shallowly: a caller of the SDK names the payload's fields.
        """

    async def search(
        self,
        *,
        assistant_id: str | None = None,
        thread_id: str | None = None,
        enabled: bool | None = None,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: CronSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Cron]:
        """Find crons; dates that are None sort as later than all others."""

    async def count(
        self,
        *,
        assistant_id: str | None = None,
        thread_id: str | None = None,
        enabled: bool | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find without a limit."""

    async def delete(self, cron_id: str, *, owner: str) -> None:
        """Remove a cron; the runs that it made stay."""


class Storage(Protocol):
    """Five resources, as the SDK offers them."""

    @property
    def assistants(self) -> AssistantStore:
        """Assistants and their versions."""

    @property
    def threads(self) -> ThreadStore:
        """Threads with state and history."""

    @property
    def runs(self) -> RunStore:
        """Runs of threads."""

    @property
    def items(self) -> ItemStore:
        """The key-value store."""

    @property
    def crons(self) -> CronStore:
        """Schedules."""
