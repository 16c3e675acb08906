"""The checkpointer of memory mode, which forgets what its storage does."""

from langgraph.checkpoint.memory import InMemorySaver

from harness.persistence.memory_retention import MemoryCheckpoints
from harness.storage.memory import MemoryBackend


def memory_saver(backend: MemoryBackend) -> InMemorySaver:
    """Return an empty checkpointer that loses a thread's checkpoints when the backend loses it.

    What the trigger in `setup.sql` does in Postgres: in the same step, whichever call deletes the
    thread. Pruning a thread's history through the backend prunes its checkpoints, too.
    """
    saver = InMemorySaver()
    backend.tables.checkpoints.append(MemoryCheckpoints(saver))
    return saver
