"""What LangGraph asks of a checkpointer in one turn of a conversation, to be asked again and again.

Checkpoints are numbered from 0 through all turns of a thread. Turn 0 is planted; from then on each
turn finds what the one before has left.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata

INLINE: Final = (str, int, float, bool, type(None))
"""Values that the library keeps in the checkpoint's own row (`AsyncPostgresSaver.aput`)."""


@dataclass(frozen=True, slots=True)
class Get:
    """Reads the newest checkpoint of the thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Stores a checkpoint."""

    place: int
    """Which of its turn's checkpoints it is, from 0."""
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    changed: tuple[str, ...]
    """Channels that get a new version."""
    versions: Mapping[str, int]
    """Version of every channel, counted from the turn's start; below 0: of the turn before."""
    blobs: int
    """Values that are stored in rows of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Stores what a task wrote."""

    place: int
    """Place of the checkpoint that it belongs to."""
    writes: Sequence[tuple[str, Any]]
    task_id: str
    task_path: str


Call = Get | Put | Write


def rows_of(call: Call) -> Counter[str]:
    """Return how many rows a call adds to the tables of LangGraph's Postgres saver, by table."""
    match call:
        case Put(blobs=blobs):
            return Counter(checkpoints=1, checkpoint_blobs=blobs)
        case Write(writes=writes):
            return Counter(checkpoint_writes=len(writes))
        case Get():
            return Counter()


@dataclass(frozen=True, slots=True)
class Turn:
    """The calls of one turn, in order."""

    calls: tuple[Call, ...]
    puts: int
    """How many of them store a checkpoint."""

    def checkpoint_id(self, number: int) -> str:
        """Return the id of a checkpoint; later ones have greater ids, as LangGraph's have."""
        return f"1f000000-0000-6000-8000-{number:012x}"

    def version(self, relative: int, turn: int) -> str:
        """Return the version of a channel as LangGraph's Postgres saver writes them."""
        return f"{relative + self.puts * (turn + 1):032}.{0:016}"

    def number(self, place: int, turn: int) -> int:
        """Return the number of a checkpoint among all of its thread."""
        return place + self.puts * turn

    def config(self, thread_id: str, number: int | None = None) -> RunnableConfig:
        """Return the config of a checkpoint; of the newest, if no number is given."""
        configurable = {"thread_id": thread_id, "checkpoint_ns": ""}
        if number is not None and number >= 0:
            configurable["checkpoint_id"] = self.checkpoint_id(number)
        return {"configurable": configurable, "metadata": {"thread_id": thread_id}}

    def checkpoint(self, put: Put, turn: int) -> Checkpoint:
        """Return the checkpoint that a put stores in a turn."""
        versions: ChannelVersions = {
            channel: self.version(relative, turn) for channel, relative in put.versions.items()
        }
        return {
            **put.checkpoint,
            "id": self.checkpoint_id(self.number(put.place, turn)),
            "channel_versions": versions,
        }

    def new_versions(self, put: Put, turn: int) -> ChannelVersions:
        """Return the versions of what a put changes."""
        return {channel: self.version(put.versions[channel], turn) for channel in put.changed}


Step = Callable[[str, int], Awaitable[object]]
"""Carries out one call of a turn: for that thread, in the turn of that number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A subject that is ready to carry out a turn's calls."""

    steps: tuple[Step, ...]
    """The turn's calls, in order; a get returns None when it has found nothing."""
    newest: Callable[[str, int], Awaitable[int]]
    """Lists at most that many of a thread's checkpoints; returns how many it found."""
