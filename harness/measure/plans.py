"""How much to measure: from a look in seconds to everything in minutes."""

from dataclasses import dataclass
from typing import Final, Literal

from harness.measure.agent_plans import AGENTS_DEFAULT, AGENTS_FULL, AGENTS_QUICK, AgentPlans
from harness.measure.records import Mix
from harness.measure.rows import RESOURCES, Resource
from harness.measure.server_plans import SERVER_DEFAULT, SERVER_FULL, SERVER_QUICK, ServerPlan
from harness.measure.workloads import Workload, creates, listing, searches, single_rows, states

PlanName = Literal["quick", "default", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of a measurement."""

    name: str
    rounds: int
    """Samples of each subject."""
    slow_rounds: int
    """Samples where one takes long: bulk reads, and searches in `searched` rows."""
    budget_s: float
    """Seconds for each workload, after which no further round begins."""
    creates: tuple[str, ...] | None = None
    """Which ways of creating to measure; None for all."""
    size: int = 100
    """Rows that are created, read, changed and deleted, and snapshots that are stored."""
    resources: tuple[Resource, ...] = RESOURCES
    single_rows: bool = True
    """Whether to measure more than creates."""
    listed: int | None = 1_000
    searched: tuple[int, ...] = (100, 100_000)
    """Among how many rows to search, side by side; empty for no searches."""
    searched_resources: tuple[Resource, ...] = RESOURCES
    pool_sizes: tuple[int, ...] = (1, 5, 10, 20)
    callers: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200)
    mixes: tuple[Mix, ...] = ("creates", "mixed")
    cell_s: float = 0.5
    """Seconds for each pool size, number of callers, mix and subject."""
    pool_rows: int = 1_000
    """Threads that are there when a pool is measured."""
    pool_floor: bool = True
    """Whether to drive the floor over the same pools, too."""
    agents: AgentPlans = AGENTS_QUICK
    """How much to measure of LangGraph's own persistence."""
    server: ServerPlan = SERVER_QUICK
    """How much to measure of the agent server."""

    def groups(self) -> list[tuple[int, list[Workload]]]:
        """Return the rounds and the workloads that are measured side by side."""
        groups: list[tuple[int, list[Workload]]] = []
        for resource in self.resources:
            ways = creates(resource, self.size)
            alone = [way for way in ways if self.creates is None or way.name in self.creates]
            if self.single_rows:
                alone += single_rows(resource, self.size)
            groups += [(self.rounds, [workload]) for workload in alone]
            if self.listed is not None:
                groups += [(self.slow_rounds, [w]) for w in listing(resource, self.listed)]
            if resource in self.searched_resources:
                scales = [searches(resource, rows) for rows in self.searched]
                groups += [
                    (self.slow_rounds, list(side_by_side))
                    for side_by_side in zip(*scales, strict=True)
                ]
        if self.single_rows and "threads" in self.resources:
            groups += [(self.rounds, [workload]) for workload in states(self.size)]
        return groups


QUICK: Final = Plan(
    name="quick",
    rounds=6,
    slow_rounds=5,
    budget_s=0.3,
    single_rows=False,
    listed=None,
    searched=(),
    callers=(1, 20, 200),
    cell_s=0.1,
    pool_rows=100,
    pool_floor=False,
)
DEFAULT: Final = Plan(
    name="default",
    rounds=30,
    slow_rounds=10,
    budget_s=4,
    searched_resources=("threads",),
    cell_s=0.3,
    agents=AGENTS_DEFAULT,
    server=SERVER_DEFAULT,
)
FULL: Final = Plan(
    name="full",
    rounds=50,
    slow_rounds=30,
    budget_s=60,
    cell_s=3.0,
    agents=AGENTS_FULL,
    server=SERVER_FULL,
)

PLANS: Final[dict[PlanName, Plan]] = {"quick": QUICK, "default": DEFAULT, "full": FULL}
