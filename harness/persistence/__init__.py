"""LangGraph's checkpointer and store and their tables, as this project runs them."""

from harness.persistence.fence import Fence, Fenceable, fenced
from harness.persistence.forgetting import forget_run, forget_update
from harness.persistence.memory import memory_saver
from harness.persistence.owner import current_owner, owner_scope
from harness.persistence.saver import PooledSaver
from harness.persistence.schemas import register_schemas
from harness.persistence.serde import Serializer
from harness.persistence.setup import setup_langgraph
from harness.persistence.store import AgentStore
from harness.persistence.unwritten import Unwritten, WaitsForRoom
from harness.persistence.writing import hold_thread, write_alone

__all__ = [
    "AgentStore",
    "Fence",
    "Fenceable",
    "PooledSaver",
    "Serializer",
    "Unwritten",
    "WaitsForRoom",
    "current_owner",
    "fenced",
    "forget_run",
    "forget_update",
    "hold_thread",
    "memory_saver",
    "owner_scope",
    "register_schemas",
    "setup_langgraph",
    "write_alone",
]
