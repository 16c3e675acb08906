"""The state of threads and its history: the checkpointer's, where a graph ran; else storage's."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateUpdate
from langgraph_sdk.runtime import AccessContext

from harness.agents.graph import Graph, Saver
from harness.errors import (
    Conflict,
    Forbidden,
    GraphUnusable,
    HarnessError,
    NotFound,
    Unreadable,
)
from harness.models import SYSTEM, Json, Thread, ThreadHead
from harness.persistence import owner_scope, write_alone
from harness.server.execution.heads import Head, show_what_fits
from harness.server.execution.outcomes import error_of, error_text
from harness.server.execution.reading import read_history, read_state, stored_at
from harness.server.execution.turns import Turns
from harness.server.failures import HttpError
from harness.server.graphs import Graphs
from harness.server.threads.places import Place
from harness.server.threads.snapshots import state_of, state_of_record
from harness.server.user_code import ends_task
from harness.server.users import User
from harness.storage.checks import check_id
from harness.storage.extensions import FullStorage
from harness.storage.values import canonical_object

ResultT = TypeVar("ResultT")
Superstep = Sequence[StateUpdate]
"""Updates of several nodes that count as one step."""


class States:
    """Reads and writes the states of one owner's threads.

    Args:
        storage: Where threads and their snapshots are.
        graphs: What runs on threads.
        saver: The graphs' checkpointer.
        turns: Those of this process's executor.
        owner: Whose threads; those of owner `system` can be read too.
        user: The same, as graphs see them; None without authentication.
    """

    def __init__(
        self,
        storage: FullStorage,
        graphs: Graphs,
        saver: Saver,
        turns: Turns,
        *,
        owner: str,
        user: User | None = None,
    ) -> None:
        self._storage, self._graphs, self._saver, self._turns = storage, graphs, saver, turns
        self._owner, self._user = owner, user

    async def get(self, thread_id: str, place: Place, *, subgraphs: bool = False) -> Json:
        """Return a state; an empty one where the thread has none.

        Reading the head repairs what the thread's row shows of it.

        Raises:
            NotFound: There is no such thread, or its graph is not served.
            Unreadable: What is stored cannot be made Python values again.
        """

        async def read(thread: Thread) -> Json:
            return await self._state(thread, place, subgraphs=subgraphs)

        return await self._of_one_thread(thread_id, read)

    async def shown(self, thread: Thread) -> Thread:
        """Have a thread's row show its head, if a graph of this server can read it; return it."""
        try:
            async with self._graph_of(thread) as graph:
                if graph is None:
                    return thread
                head = await self._head(graph, thread)
        except (GraphUnusable, NotFound, Unreadable):
            return thread
        if head.checkpoint_id in {None, thread.checkpoint_id}:
            return thread
        return await self._show(thread, head, seen_at=thread.state_updated_at)

    async def history(
        self, thread_id: str, place: Place, *, limit: int, before: Place, metadata: Json
    ) -> list[Json]:
        """Return states, newest first; none before a checkpoint that the thread does not have.

        Raises:
            NotFound: As `get`.
            InvalidInput: The metadata to look for could never have been stored.
        """

        async def read(thread: Thread) -> list[Json]:
            async with self._graph_of(thread) as graph:
                if graph is not None:
                    found = await self._checkpoints(
                        graph, thread, place, limit=limit, before=before, metadata=metadata
                    )
                    if found or await self._has_run(thread):
                        return found
            records = await self._storage.threads.get_history(
                thread.thread_id,
                limit=limit,
                before=before.checkpoint_id,
                metadata=metadata,
                owner=self._owner,
            )
            return [state_of_record(record) for record in records]

        return await self._of_one_thread(thread_id, read)

    async def _of_one_thread(
        self, thread_id: str, read: Callable[[Thread], Awaitable[ResultT]]
    ) -> ResultT:
        """Return what several statements read of a thread that was the same one all the while.

        Checkpoints are found by the thread's id. If the thread is deleted between two statements
        and somebody takes its id, the later ones find the new thread's: what was read is dropped.

        Raises:
            NotFound: There is no such thread, or not any more.
        """
        thread = await self._storage.threads.get(thread_id, owner=self._owner)
        while True:
            found: ResultT | Unreadable
            try:
                found = await read(thread)
            except Unreadable as exc:  # it tells what is stored
                found = exc
            before = thread
            thread = await self._storage.threads.get(thread_id, owner=self._owner)
            if _identity(thread) != _identity(before):
                continue
            if isinstance(found, Unreadable):
                raise found
            return found

    async def _state(self, thread: Thread, place: Place, *, subgraphs: bool) -> Json:
        """Return a state, and repair what the thread's row shows if it is the head."""
        async with self._graph_of(thread) as graph:
            if graph is None:
                return await self._snapshot(thread, place)
            with owner_scope(self._owner):
                read = await read_state(graph, place.config(thread.thread_id), subgraphs=subgraphs)
        if read.snapshot.created_at is None and not await self._has_run(thread):
            return await self._snapshot(thread, place)
        if place == Place():
            await self._repair(thread, Head.of(read))
        return state_of(read)

    async def _snapshot(self, thread: Thread, place: Place) -> Json:
        """Return a state that was given to storage."""
        return state_of_record(
            await self._storage.threads.get_state(
                thread.thread_id, place.checkpoint_id, owner=self._owner
            )
        )

    async def _has_run(self, thread: Thread) -> bool:
        """Whether a graph has left a checkpoint of a thread."""
        head = Place().config(thread.thread_id)
        return await stored_at(self._saver, head) is not None

    async def _head(self, graph: Graph, thread: Thread) -> Head:
        with owner_scope(self._owner):
            read = await read_state(graph, Place().config(thread.thread_id))
        return Head.of(read)

    async def _checkpoints(
        self,
        graph: Graph,
        thread: Thread,
        place: Place,
        *,
        limit: int,
        before: Place,
        metadata: Json,
    ) -> list[Json]:
        """Return the history that a graph has made."""
        end: RunnableConfig | None = None
        if before.checkpoint_id is not None:
            end = Place(
                checkpoint_id=before.checkpoint_id, checkpoint_ns=place.checkpoint_ns
            ).config(thread.thread_id)
            if await stored_at(self._saver, end) is None:
                return []
        with owner_scope(self._owner):
            found = await read_history(
                graph,
                place.config(thread.thread_id),
                filter=canonical_object(metadata, "metadata") or None,
                before=end,
                limit=limit,
            )
        return [state_of(read) for read in found]

    async def update(
        self, thread_id: str, supersteps: Sequence[Superstep], place: Place
    ) -> tuple[RunnableConfig, Thread]:
        """Write to a state, and have the thread's row show it; return its config and the thread.

        All or nothing, and while no run begins: updates that began from one checkpoint, or an
        update and a run, would lose what one of them wrote.

        Raises:
            NotFound: There is no such thread, graph or checkpoint.
            Forbidden: The thread is owner `system`'s.
            Conflict: A run keeps the thread busy.
            HttpError: 400, no graph has run on the thread, or the graph refuses the update.
        """
        thread_id = check_id(thread_id, "thread")
        async with self._turns.of(thread_id), write_alone(self._saver, thread_id):
            thread = await self._storage.threads.get(thread_id, owner=self._owner)
            self._check_writable(thread)
            async with self._graph_of(thread, "threads.update") as graph:
                if graph is None:
                    raise HttpError(
                        400, f"thread {thread.thread_id} has no graph: no run has named one"
                    )
                await self._check_there(thread, place)
                with owner_scope(self._owner):
                    config = await self._write(graph, place.config(thread.thread_id), supersteps)
                head = await self._head(graph, thread)
            return config, await self._show(thread, head)

    def _check_writable(self, thread: Thread) -> None:
        if thread.metadata["owner"] != self._owner:
            raise Forbidden(f"thread {thread.thread_id} belongs to owner {SYSTEM!r}")
        if thread.status == "busy":
            raise Conflict(f"a run of thread {thread.thread_id} is pending or running")

    async def _check_there(self, thread: Thread, place: Place) -> None:
        if place.checkpoint_id is not None:
            found = await stored_at(self._saver, place.config(thread.thread_id))
            if found is None:
                raise NotFound.of("checkpoint", place.checkpoint_id)

    async def _write(
        self, graph: Graph, config: RunnableConfig, supersteps: Sequence[Superstep]
    ) -> RunnableConfig:
        try:
            return await graph.abulk_update_state(config, supersteps)
        except HarnessError:
            raise
        except BaseException as exc:  # whatever the graph's own reducers and schemas raise
            if ends_task(exc):
                raise
            raise HttpError(400, error_text(error_of(exc))[:500]) from exc

    @asynccontextmanager
    async def _graph_of(
        self, thread: Thread, access: AccessContext = "threads.read"
    ) -> AsyncIterator[Graph | None]:
        """Yield the graph that the thread belongs to; None where no run has named one.

        Raises:
            NotFound: It is not served.
            GraphUnusable: It cannot be made.
        """
        graph_id = thread.metadata.get("graph_id")
        if not isinstance(graph_id, str):
            yield None
            return
        async with self._graphs.open(graph_id, access=access, user=self._user) as graph:
            yield graph

    async def _repair(self, thread: Thread, head: Head) -> None:
        """Show the head if another is shown; a run that keeps the thread busy will do it itself."""
        if (
            head.checkpoint_id is None  # no graph has run: if the row shows any, it is a snapshot
            or head.checkpoint_id == thread.checkpoint_id
            or thread.status == "busy"
            or thread.metadata["owner"] != self._owner
        ):
            return
        try:
            await self._show(thread, head, seen_at=thread.state_updated_at)
        except (Conflict, NotFound):
            return  # somebody was faster

    async def _show(self, thread: Thread, head: Head, seen_at: datetime | None = None) -> Thread:
        async def cache(shown: ThreadHead) -> Thread:
            return await self._storage.threads.cache_head(
                thread.thread_id,
                shown,
                thread_status=head.thread_status,
                seen_at=seen_at,
                owner=self._owner,
            )

        return await show_what_fits(cache, head.shown())


def _identity(thread: Thread) -> tuple[str, datetime]:
    """Return what tells a thread from another one of the same id."""
    return str(thread.metadata["owner"]), thread.created_at
