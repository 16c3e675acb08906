"""Threads, their state and history over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any

from langgraph_sdk.client import LangGraphClient

from harness.errors import Conflict, NotFound
from harness.models import (
    IfExists,
    PruneStrategy,
    SortOrder,
    Thread,
    ThreadState,
    ThreadStatus,
)
from harness.storage.interface import JsonObject, ThreadSortBy, ThreadTtlGiven
from harness.storage.remote import wire
from harness.storage.remote.wire import body, checked, given, needed, read, write


class RemoteThreads:
    """`ThreadStore`, as the SDK calls it."""

    def __init__(self, client: Callable[[str], LangGraphClient]) -> None:
        self._client = client

    async def create(
        self,
        *,
        metadata: JsonObject | None = None,
        thread_id: str | None = None,
        if_exists: IfExists = "raise",
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> Thread:
        """Store a new, idle thread."""
        asked: Any = checked({"ttl": ttl}, "ttl")
        found: Any = await write(
            lambda: self._client(owner).threads.create(
                metadata=checked(metadata, "metadata"),
                thread_id=given(thread_id, "thread_id"),
                if_exists=needed(if_exists, "if_exists"),
                **asked,
            )
        )
        return wire.thread(found)

    async def get(self, thread_id: str, *, owner: str) -> Thread:
        """Return a thread."""
        found: Any = await read(
            lambda: self._client(owner).threads.get(needed(thread_id, "thread ID"), include=["ttl"])
        )
        return wire.thread(found)

    async def update(
        self,
        thread_id: str,
        *,
        metadata: JsonObject,
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> Thread:
        """Merge metadata shallowly, and set the time to live if one is given."""
        asked: Any = checked({"ttl": ttl}, "ttl")
        found: Any = await write(
            lambda: self._client(owner).threads.update(
                needed(thread_id, "thread ID"), metadata=checked(metadata, "metadata"), **asked
            )
        )
        return wire.thread(found)

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
        """Find threads."""
        which = {
            "metadata": checked(metadata, "metadata"),
            "values": checked(values, "values"),
            "ids": ids,
            "status": status,
        }
        part: Any = {
            "limit": limit,
            "offset": offset,
            "sort_by": needed(sort_by, "sort_by"),
            "sort_order": needed(sort_order, "sort_order"),
        }
        found: Any
        if ids is None or ids:
            found = await read(lambda: self._client(owner).threads.search(**which, **part))
        else:  # the SDK's method leaves out a list of no ids, and would find all
            found = await self._posted("search", {**which, **part}, owner=owner)
        return [wire.thread(one) for one in found]

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
        which = {
            "metadata": checked(metadata, "metadata"),
            "values": checked(values, "values"),
            "ids": ids,
            "status": status,
        }
        # The SDK's method has no `ids`, which the server takes all the same.
        return int(await self._posted("count", which, owner=owner))

    async def _posted(self, what: str, asked: dict[str, Any], *, owner: str) -> Any:
        """Return the answer to a body that the SDK's own method would not send."""
        return await read(
            lambda: self._client(owner).http.post(f"/threads/{what}", json=body(**asked))
        )

    async def delete(self, thread_id: str, *, owner: str) -> None:
        """Remove a thread with all that is of it."""
        await write(lambda: self._client(owner).threads.delete(needed(thread_id, "thread ID")))

    async def copy(self, thread_id: str, *, owner: str) -> Thread:
        """Return a new thread with the same metadata and states."""
        try:
            found: Any = await write(
                lambda: self._client(owner).threads.copy(needed(thread_id, "thread ID"))
            )
        except Conflict as exc:  # by which the API says that there is no such thread
            raise NotFound(str(exc)) from exc
        return wire.thread(found)

    async def prune(
        self,
        thread_ids: Sequence[str],
        *,
        strategy: PruneStrategy = "delete",
        owner: str,
    ) -> int:
        """Delete threads, or all but their latest state; return how many threads were there."""
        found = await write(
            lambda: self._client(owner).threads.prune(thread_ids, strategy=strategy)
        )
        return int(found["pruned_count"])

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None = None, *, owner: str
    ) -> ThreadState:
        """Return the head state, or the one at a checkpoint."""
        found: Any = await read(
            lambda: self._client(owner).threads.get_state(
                needed(thread_id, "thread ID"), checkpoint_id=given(checkpoint_id, "checkpoint ID")
            )
        )
        return wire.state(found)

    async def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: str | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> list[ThreadState]:
        """Return states, newest first."""
        checkpoint: Any = None if before is None else {"checkpoint_id": before}
        found: Any = await read(
            lambda: self._client(owner).threads.get_history(
                needed(thread_id, "thread ID"),
                limit=limit,
                before=checkpoint,
                metadata=checked(metadata, "metadata"),
            )
        )
        return [wire.state(one) for one in found]
