"""The reference model: everything in this process's memory, gone when the process ends.

No engine's method awaits anything, so each is atomic on its event loop; each checks all that it
could refuse before it writes. A store belongs to one event loop.
"""

from harness.storage.memory.assistants import MemoryAssistants
from harness.storage.memory.crons import MemoryCrons
from harness.storage.memory.items import MemoryItems
from harness.storage.memory.leases import MemoryLeases
from harness.storage.memory.runs import MemoryRuns
from harness.storage.memory.tables import Tables
from harness.storage.memory.threads import MemoryThreads

__all__ = ["MemoryBackend"]


class MemoryBackend:
    """The five engines over one set of tables."""

    def __init__(self) -> None:
        self.tables = Tables()
        """What is stored, for `harness.storage.memory.probe`."""
        self.assistants = MemoryAssistants(self.tables)
        self.threads = MemoryThreads(self.tables)
        self.runs = MemoryRuns(self.tables)
        self.items = MemoryItems(self.tables)
        self.crons = MemoryCrons(self.tables)
        self.leases = MemoryLeases(self.tables)
