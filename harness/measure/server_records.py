"""What was found of the agent server: turns over HTTP beside turns in process, and its pool."""

import dataclasses
from typing import Final, Literal, get_args

Client = Literal["raw", "sdk"]
"""How requests are sent: a bare connection, or the official client."""
CLIENTS: Final[tuple[Client, ...]] = get_args(Client)
Way = Literal["wait", "stream"]
"""How a run is asked for."""
WAYS: Final[tuple[Way, ...]] = get_args(Way)
Host = Literal["server", "process", "echo"]
"""Who carries a turn out: an agent server, the measuring process, or nobody (an echo)."""
Checkpoints = Literal["none", "memory", "postgres"]
"""Where a turn's checkpoints go."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServedTurns:
    """One subject answering a number of conversations at once, round by round.

    Every turn is the first of a thread that is there already.
    """

    way: Way
    host: Host
    checkpoints: Checkpoints
    client: Client | None
    """None in process."""
    conversations: int
    wall_s: list[float]
    """Seconds from the first request to the last answer's end, a round."""
    first_event_s: list[list[float]]
    """Seconds until the first token of each conversation, a list a round; only of streams."""
    total_s: list[list[float]]
    """Seconds until the end of each conversation's turn, a list a round."""
    order: list[int]
    """When each round was taken, counted over all subjects of the cell; equal indices are pairs."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerLoad:
    """A server under concurrent callers, and its pool as it tells of it itself."""

    pool_size: int
    callers: int
    duration_s: float
    operations: int
    """Threads that were created in that time."""
    busy_share: float
    """Connection-seconds in use over pool size times duration, 0 to 1."""
    waiting: float
    """Requests that waited for a connection, on average over the time."""
    wait_ms: float
    """What a request waited for a connection, on average."""
    checkouts: int
