"""The storage of a backend that runs in this process: its engines behind the public resources."""

from harness.storage.engine import Backend
from harness.storage.resources.assistants import Assistants
from harness.storage.resources.crons import Crons
from harness.storage.resources.items import Items
from harness.storage.resources.runs import Runs
from harness.storage.resources.threads import Threads


class LocalStorage:
    """A `FullStorage` over a backend's engines."""

    def __init__(self, backend: Backend) -> None:
        self.assistants = Assistants(backend.assistants)
        self.threads = Threads(backend.threads)
        self.runs = Runs(backend.runs)
        self.items = Items(backend.items)
        self.crons = Crons(backend.crons)
        self.leases = backend.leases
