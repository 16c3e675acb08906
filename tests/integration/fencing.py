"""Places where runs are fenced: a storage with its saver, runs that have begun, what is left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME

from harness.agents.graph import Saver
from harness.config import DatabaseConfig
from harness.database import Database
from harness.models import Lease
from harness.persistence import Fence, PooledSaver, forget_run, memory_saver, setup_langgraph
from harness.persistence.direct import MOST_VALUES
from harness.persistence.memory import MemorySaver
from harness.schema import CHECKPOINT_TABLES
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

OWNER: Final = "ann"
OTHER: Final = "bob"
MANY: Final = MOST_VALUES + 3
INNER: Final = "inner:1"
"""The namespace of a subgraph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A storage and the saver beside it, of one process."""

    storage: FullStorage
    saver: Saver

    async def rows(self, thread_id: str) -> Counter[str]:
        """Count what is stored of a thread, by table."""
        found: Counter[str] = Counter()
        if isinstance(self.saver, PooledSaver):
            for table in CHECKPOINT_TABLES:
                query = f"SELECT count(*) AS n FROM {table} WHERE thread_id = %s"  # noqa: S608
                [row] = await self.saver.database.read(query.encode(), [thread_id])
                found[table] = row["n"]
        elif isinstance(self.saver, MemorySaver):
            spaces = self.saver.storage.get(thread_id, {})
            found["checkpoints"] = sum(map(len, spaces.values()))
            found["blobs"] = sum(key[0] == thread_id for key in self.saver.blobs)
            writes = [w for key, w in self.saver.writes.items() if key[0] == thread_id]
            found["writes"] = sum(map(len, writes))
        return +found

    async def begun(self, owner: str = OWNER) -> "Begun":
        """Begin a run on a new thread that has a past, of an assistant of its own."""
        assistant = await self.storage.assistants.create("g", owner=owner)
        _, lease = await self.storage.runs.begin(
            str(uuid4()), assistant.assistant_id, lease_s=3_600, if_not_exists="create", owner=owner
        )
        assert lease is not None
        past = empty_checkpoint()
        past["id"] = str(uuid6())
        run = Begun(lease=lease, assistant=assistant.assistant_id, checkpoint=past["id"])
        for namespace in ("", INNER):
            config = run.at(namespace)
            del config["metadata"]
            await self.saver.aput(config, past, {"step": 0}, {})
        return run


PAST: Final = Counter({"checkpoints": 2})
"""Rows of a thread whose run has written nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that somebody executes."""

    lease: Lease
    assistant: str
    checkpoint: str
    """The thread's checkpoint, in each namespace: the parent of those that the run puts."""

    @property
    def thread(self) -> str:
        """Its thread's id."""
        return self.lease.thread_id

    @property
    def fence(self) -> Fence:
        """What fences its writes."""
        return Fence.of(self.lease, owner=OWNER)

    def at(self, namespace: str = "", thread: str | None = None) -> RunnableConfig:
        """Return the config of its checkpoint, in a namespace."""
        return {
            "configurable": {
                "thread_id": thread or self.thread,
                "checkpoint_ns": namespace,
                "checkpoint_id": self.checkpoint,
            },
            "metadata": {"run_id": self.lease.run_id},
        }


def in_memory() -> Place:
    """Return a place in memory."""
    backend = MemoryBackend()
    return Place(storage=LocalStorage(backend), saver=memory_saver(backend))


@asynccontextmanager
async def on_postgres(url: str, processes: int) -> AsyncIterator[list[Place]]:
    """Open a place for each of so many processes, on one database."""
    async with AsyncExitStack() as stack:
        places = []
        for _ in range(processes):
            config = replace(DatabaseConfig.for_scratch(url), pool_min_size=1, pool_max_size=4)
            database = await stack.enter_async_context(Database(config))
            await setup_langgraph(database)
            storage = LocalStorage(PostgresBackend(database))
            places.append(Place(storage=storage, saver=PooledSaver(database)))
        yield places


# What a run writes.

Write = Callable[[Saver, Begun], Coroutine[Any, Any, None]]


def _putting(values: int, namespace: str = "") -> Write:
    async def put(saver: Saver, run: Begun) -> None:
        await saver.aput(*_checkpoint(run, values, namespace))

    return put


def _checkpoint(run: Begun, values: int, namespace: str = "") -> tuple[Any, Any, Any, Any]:
    versions = {f"c{n}": f"{uuid4()}" for n in range(values)}
    checkpoint = empty_checkpoint()
    checkpoint["id"] = str(uuid6())
    checkpoint["channel_values"] = {name: [name] for name in versions}
    checkpoint["channel_versions"] = dict(versions)
    return run.at(namespace), checkpoint, {"run_id": run.lease.run_id, "step": 1}, versions


def _writing(*channels: str, namespace: str = "") -> Write:
    async def write(saver: Saver, run: Begun) -> None:
        writes = [(channel, [channel]) for channel in channels]
        await saver.aput_writes(run.at(namespace), writes, str(uuid4()), "path")

    return write


async def _put_by_a_thread(saver: Saver, run: Begun) -> None:
    await asyncio.to_thread(saver.put, *_checkpoint(run, 2))


async def _write_by_a_thread(saver: Saver, run: Begun) -> None:
    await asyncio.to_thread(saver.put_writes, run.at(), [("c", 1)], str(uuid4()))


async def _copy(saver: Saver, run: Begun) -> None:
    await saver.acopy_thread(f"source of {run.thread}", run.thread)


WRITES: Final[dict[str, Write]] = {
    "put": _putting(0),
    "put of few": _putting(2),
    "put of many": _putting(MANY),
    "put of a subgraph": _putting(2, INNER),
    "put by a thread": _put_by_a_thread,
    "writes": _writing("c"),
    "writes, many": _writing(*(f"c{n}" for n in range(MANY))),
    "writes of a subgraph": _writing("c", namespace=INNER),
    "writes by a thread": _write_by_a_thread,
    "special writes": _writing(INTERRUPT, RESUME),
    "mixed writes": _writing("c", ERROR),
    "copy": _copy,
}


# What a run deletes by its saver.


async def _delete_checkpoints(saver: Saver, run: Begun) -> None:
    await saver.adelete_thread(run.thread)


async def _delete_by_a_thread(saver: Saver, run: Begun) -> None:
    await asyncio.to_thread(saver.delete_thread, run.thread)


async def _keep_latest(saver: Saver, run: Begun) -> None:
    await saver.aprune([run.thread], strategy="keep_latest")


async def _prune_all(saver: Saver, run: Begun) -> None:
    await saver.aprune([run.thread], strategy="delete")


async def _delete_for_run(saver: Saver, run: Begun) -> None:
    await saver.adelete_for_runs([run.lease.run_id])


def ways_to_delete(place: Place) -> dict[str, Write]:
    """Return the ways in which the saver of a place deletes."""
    everywhere: dict[str, Write] = {
        "delete": _delete_checkpoints,
        "delete by a thread": _delete_by_a_thread,
    }
    if isinstance(place.saver, MemorySaver):
        return everywhere
    return {
        **everywhere,
        "keep latest": _keep_latest,
        "prune": _prune_all,
        "delete for run": _delete_for_run,
    }


# How a run comes to be over, for whoever executes it.

End = Callable[[Place, Begun], Coroutine[Any, Any, None]]


async def _cancel(place: Place, run: Begun) -> None:
    await place.storage.runs.update_status(run.thread, run.lease.run_id, "interrupted", owner=OWNER)


async def _finish(place: Place, run: Begun) -> None:
    await place.storage.runs.finish(run.lease, "success", owner=OWNER)


async def _hand_back(place: Place, run: Begun) -> None:
    await place.storage.runs.hand_back(run.lease, owner=OWNER)


async def _taken_up(place: Place, run: Begun) -> None:
    """Claimed by another, when the lease had run out."""
    await place.storage.runs.heartbeat(run.lease, lease_s=1e-6, owner=OWNER)
    claimed = None
    while claimed is None or claimed.run.run_id != run.lease.run_id:
        claimed = await place.storage.runs.claim(lease_s=3_600, owner=OWNER)


async def _delete_run(place: Place, run: Begun) -> None:
    await place.storage.runs.delete(run.thread, run.lease.run_id, owner=OWNER)


async def _roll_back(place: Place, run: Begun) -> None:
    await forget_run(place.saver, run.thread, run.lease.run_id, owner=OWNER)


async def _discard(place: Place, run: Begun) -> None:
    await place.storage.runs.discard(run.thread, run.lease.run_id, owner=OWNER)


async def _delete(place: Place, run: Begun) -> None:
    await place.storage.threads.delete(run.thread, owner=OWNER)


async def _prune(place: Place, run: Begun) -> None:
    await place.storage.threads.prune([run.thread], strategy="delete", owner=OWNER)


async def _delete_assistant(place: Place, run: Begun) -> None:
    await place.storage.assistants.delete(run.assistant, delete_threads=True, owner=OWNER)


async def _made_anew(place: Place, run: Begun) -> None:
    """Deleted, and the id taken by another owner."""
    await _delete(place, run)
    await place.storage.threads.create(thread_id=run.thread, owner=OTHER)


async def _begun_anew(place: Place, run: Begun) -> None:
    """Deleted, and begun again by the same owner under the same ids."""
    await _delete(place, run)
    await place.storage.runs.begin(
        run.thread,
        run.assistant,
        run_id=run.lease.run_id,
        lease_s=3_600,
        if_not_exists="create",
        owner=OWNER,
    )


ENDS: Final[dict[str, End]] = {
    "cancelled": _cancel,
    "finished": _finish,
    "handed back": _hand_back,
    "taken up": _taken_up,
    "run deleted": _delete_run,
    "rolled back": _roll_back,
    "discarded": _discard,
    "thread deleted": _delete,
    "thread pruned": _prune,
    "assistant deleted": _delete_assistant,
    "thread made anew": _made_anew,
    "run begun anew": _begun_anew,
}
LEAVES_NOTHING: Final = frozenset(ENDS) - {
    "cancelled",
    "finished",
    "handed back",
    "taken up",
    "run deleted",
    "rolled back",
}
"""Endings that take the thread with them."""


async def waits_for_a_lock(task: "asyncio.Task[Any]", place: Place) -> bool:
    """Wait until a task is done, or waits for a lock; return whether it waits."""
    assert isinstance(place.saver, PooledSaver)
    query = b"""SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                AND wait_event_type = 'Lock'"""
    while not task.done():
        if await place.saver.database.read(query):
            return True
        await asyncio.sleep(0.001)
    return False
