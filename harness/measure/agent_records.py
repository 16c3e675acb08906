"""What was found of LangGraph's own persistence: savers, stores, growth and durability."""

import dataclasses
from typing import Final, Literal, get_args

Durability = Literal["sync", "async", "exit"]
"""When LangGraph stores a superstep: before the next, beside the next, or at the run's end."""
DURABILITIES: Final[tuple[Durability, ...]] = get_args(Durability)
Channels = Literal["plain", "delta"]
"""Whether each version of the messages is stored whole, or only what was added."""
Disturbance = Literal["none", "slow search", "bad operation"]
"""What is among the callers of a store that none of the others has a part in."""
DISTURBANCES: Final[tuple[Disturbance, ...]] = get_args(Disturbance)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamCell:
    """One subject streaming chat turns to a number of conversations at once, round by round."""

    subject: str
    """The checkpointer: `none`, `memory` (InMemorySaver), `ours` or `stock` (both on Postgres)."""
    durability: Durability
    network_ms: float
    """Added to each round trip to the database, half of it on each way."""
    conversations: int
    pool_size: int
    """Connections; 0 for a subject that has none."""
    wall_s: list[float]
    """Seconds from the first turn's start to the last one's end, a round."""
    first_token_s: list[list[float]]
    """Seconds until each conversation's first token, a list a round."""
    total_s: list[list[float]]
    """Seconds until each conversation's turn was over, a list a round."""
    order: list[int]
    """When each round was taken, counted over all subjects of the cell; equal indices are pairs."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPoint:
    """What one thread, alone in the tables, occupies after a number of turns."""

    channels: Channels
    durability: Durability
    turns: int
    rows: dict[str, int]
    """By table."""
    stored_bytes: dict[str, int]
    """Size of the rows as they are stored, compressed and without indexes, by table."""
    disk_bytes: dict[str, int]
    """What the files have grown by since turn 0, by table: rows, indexes, values out of line, and
    room that is free within pages, which is most of it for a thread that is alone."""
    wal_bytes: int
    """Written to the write-ahead log since turn 0, all turns together.

    With it whatever else the server wrote meanwhile. A server that has just written a checkpoint
    of its own writes whole pages anew, and more.
    """
    disk_factor: float | None = None
    """Bytes on disk for each stored byte, indexes included, where many such threads lie together.

    Measured for the longest thread; None of shorter ones.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PruneGain:
    """What pruning one thread gave back."""

    channels: Channels
    turns: int
    keep_latest: int
    """How many of the newest checkpoints were asked to stay."""
    checkpoints_before: int
    checkpoints_after: int
    rows_before: int
    """Of all three tables."""
    rows_after: int
    bytes_before: int
    """Of the rows as they are stored."""
    bytes_after: int
    took_s: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreMix:
    """Callers of one store at once, one of whom may disturb the others, round by round."""

    subject: str
    """The store."""
    callers: int
    """Good callers, each of which puts one item and reads it."""
    disturbance: Disturbance
    latency_ms: list[list[float]]
    """Milliseconds until each good caller that succeeded was done, ascending, a list a round.

    Counted from the moment at which all of them called.
    """
    failed: list[int]
    """Good callers whose calls failed, a round."""
    slow_ms: list[float]
    """Milliseconds until the slow search was done, a round; empty where there was none."""
    order: list[int]
    """When each round was taken, counted over all stores and disturbances.

    Rounds of the same index were taken side by side.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DurabilityCell:
    """A run of many supersteps whose database died at one of them.

    Supersteps are numbered from 1; the input and what LangGraph does before the first is 0. What a
    caller learns of a superstep is two things, which LangGraph's stream tells apart: its `updates`
    are a node's result, sent as soon as the node is done, before anything is stored; its `values`
    are the thread's new state, which with `sync` are sent once the checkpoint is stored. So the
    first is what the caller has *seen*, and the second is what was *acknowledged* to it.
    """

    durability: Durability
    steps: int
    died_at: int
    """The superstep whose state the caller had just been given when the database died."""
    seen: int
    """The last superstep whose result (`updates`) the caller saw before the run ended."""
    acknowledged: int
    """The last superstep whose state (`values`) the caller was given before the run ended."""
    stored: int
    """The last superstep that the thread held after the database came back."""
    resumable: bool
    """Whether there was a checkpoint to go on from; else the run had to be begun anew."""
    executed_again: int
    """How many supersteps whose result the caller had seen were carried out once more."""
    lost: int
    """How many supersteps were acknowledged and not stored: `acknowledged - stored`, at least 0."""
    finished: bool
    """Whether the resumed run ended with every superstep once in the state, in order."""
