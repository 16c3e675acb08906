"""How much to measure of LangGraph's own persistence, by plan."""

from dataclasses import dataclass
from typing import Final, get_args

from harness.measure.agent_records import DURABILITIES, Channels, Durability
from harness.measure.restart_records import EndedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingPlan:
    """Which conversations to stream, over which network."""

    rounds: int
    budget_s: float
    """Seconds for each cell, after which no further round begins."""
    conversations: tuple[int, ...] = (1, 10, 50)
    network_ms: tuple[float, ...] = (0.0, 2.0)
    """Added to each round trip, half of it on each way."""
    durabilities: tuple[Durability, ...] = DURABILITIES
    pool_size: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SaversPlan:
    """How hard to drive savers."""

    cell_s: float
    """Seconds of a round of each cell."""
    rounds: int
    alone_rounds: int
    """Samples of one conversation without others beside it."""
    alone_turns: int = 2
    """Turns of each of those."""
    pool_sizes: tuple[int, ...] = (1, 5, 10, 20)
    tasks: int = 50
    floor: bool = True
    """Whether to drive the floor over the same pools, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPlan:
    """How long a thread to grow, and how often to read it."""

    turns: tuple[int, ...]
    """After which turns to look, ascending."""
    read_at: tuple[int, ...]
    """Of how many checkpoints the threads are whose state and history are read."""
    reads: int
    """Samples of each read."""
    budget_s: float
    """Seconds for each read, after which no further round begins."""
    keep_latest: int = 10
    """Checkpoints that pruning leaves."""
    channels: tuple[Channels, ...] = get_args(Channels)
    durabilities: tuple[Durability, ...] = DURABILITIES

    @property
    def long_turns(self) -> int:
        """About how many turns make the longest thread that is read, four checkpoints a turn."""
        return -(-max(self.read_at) // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresPlan:
    """How often to ask stores."""

    rounds: int
    budget_s: float
    """Seconds for each operation, after which no further round begins."""
    items: int = 100
    """Operations of a sample, one after another."""
    callers: int = 50
    mix_rounds: int = 6
    """Rounds of callers with a slow search or a bad operation among them, and with neither."""
    archived: int = 1_000
    """Documents that the slow search looks through, eight kilobytes each."""
    fields: int = 50
    """Fields of each document that it compares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurabilityPlan:
    """At which supersteps the database dies."""

    steps: int = 20
    deaths: tuple[int, ...] = tuple(range(1, 21))
    """The supersteps after which it dies, each in a run of its own."""
    durabilities: tuple[Durability, ...] = DURABILITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartsPlan:
    """How often to end an agent server and start it again."""

    rounds: int
    """Restarts of each server by each signal."""
    ends: tuple[EndedBy, ...] = get_args(EndedBy)
    """How the server on Postgres ends; the one in memory ends by SIGTERM."""
    steps: int = 12
    """Of the run that it is in."""
    lease_s: float = 5.0
    """Of runs; the server's default is longer, and a killed run waits for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPlans:
    """One plan for each measurement of LangGraph's persistence."""

    streaming: StreamingPlan
    savers: SaversPlan
    growth: GrowthPlan
    stores: StoresPlan
    durability: DurabilityPlan
    restarts: RestartsPlan


AGENTS_QUICK: Final = AgentPlans(
    streaming=StreamingPlan(rounds=6, budget_s=1.0, conversations=(1, 10), durabilities=("async",)),
    savers=SaversPlan(cell_s=0.06, rounds=3, alone_rounds=10, floor=False),
    growth=GrowthPlan(
        turns=(1, 5, 20),
        read_at=(10, 100),
        reads=6,
        budget_s=0.5,
        durabilities=("async", "exit"),
    ),
    stores=StoresPlan(rounds=6, budget_s=0.4, items=20, mix_rounds=3, archived=500),
    durability=DurabilityPlan(deaths=(1, 10, 19)),
    restarts=RestartsPlan(rounds=1, ends=("SIGKILL",), lease_s=1.0),
)
AGENTS_DEFAULT: Final = AgentPlans(
    streaming=StreamingPlan(rounds=10, budget_s=3.0),
    savers=SaversPlan(cell_s=0.12, rounds=6, alone_rounds=20, floor=False),
    growth=GrowthPlan(
        turns=(1, 2, 5, 10, 20, 50), read_at=(10, 100, 1_000), reads=15, budget_s=3.0
    ),
    stores=StoresPlan(rounds=20, budget_s=1.0),
    durability=DurabilityPlan(deaths=(1, 5, 10, 15, 19, 20)),
    restarts=RestartsPlan(rounds=5),
)
AGENTS_FULL: Final = AgentPlans(
    streaming=StreamingPlan(rounds=30, budget_s=30.0, conversations=(1, 2, 5, 10, 20, 50)),
    savers=SaversPlan(cell_s=1.0, rounds=10, alone_rounds=100),
    growth=GrowthPlan(
        turns=(1, 2, 5, 10, 20, 50, 100, 200),
        read_at=(10, 100, 1_000),
        reads=50,
        budget_s=60.0,
    ),
    stores=StoresPlan(rounds=50, budget_s=20.0, mix_rounds=30),
    durability=DurabilityPlan(),
    restarts=RestartsPlan(rounds=20),
)
