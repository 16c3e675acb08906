"""What results call things; whoever reads results imports this, and none of what measures."""

from typing import Final, Literal

from harness.contract.store_differences import IN_MEMORY, POSTGRES

CHECKPOINTS: Final = "checkpoints"
"""The resource of what savers are timed at."""

OURS_IN_MEMORY: Final = "AgentStore on memory"
OURS: Final = "AgentStore on postgres"
STORES: Final = (IN_MEMORY, POSTGRES, OURS_IN_MEMORY, OURS)
"""The stores, in the order in which they are shown."""
STOCK_OF: Final = {OURS_IN_MEMORY: IN_MEMORY, OURS: POSTGRES}
"""For each store of ours, LangGraph's that it stands beside."""

Operation = Literal["put", "get", "search"]
"""What stores are timed at."""
Way = Literal["alone", "at_once"]
"""One after another, or all at the same time."""
