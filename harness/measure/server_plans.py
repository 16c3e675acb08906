"""How much to measure of the agent server."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """Sizes of what is measured over HTTP."""

    rounds: int
    budget_s: float
    """Seconds for each cell, after which no further round begins."""
    creates: int = 100
    """Rows that one sample creates."""
    conversations: tuple[int, ...] = (1, 10, 50)
    pool_sizes: tuple[int, ...] = (2, 10, 20)
    """Of servers under load, each a process of its own."""
    callers: tuple[int, ...] = (1, 10, 50)
    cell_s: float = 0.5
    """Seconds for each pool size and number of callers."""


SERVER_QUICK: Final = ServerPlan(
    rounds=6,
    budget_s=0.4,
    creates=20,
    conversations=(1, 5),
    pool_sizes=(10,),
    callers=(1, 20),
    cell_s=0.2,
)
SERVER_DEFAULT: Final = ServerPlan(rounds=30, budget_s=3.5)
SERVER_FULL: Final = ServerPlan(
    rounds=50, budget_s=30.0, conversations=(1, 2, 5, 10, 20, 50), cell_s=2.0
)
