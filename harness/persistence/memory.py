"""The checkpointer of memory mode, which forgets a thread when its storage does."""

from langgraph.checkpoint.memory import InMemorySaver

from harness.storage.memory import MemoryBackend


def memory_saver(backend: MemoryBackend) -> InMemorySaver:
    """Return an empty checkpointer that loses a thread's checkpoints when the backend loses it.

    What the trigger in `setup.sql` does in Postgres: in the same step, whichever call deletes the
    thread.
    """
    saver = InMemorySaver()
    backend.tables.on_thread_removed(saver.delete_thread)
    return saver
