"""The storage of a backend that runs in this process: its engines behind the public resources."""

from harness.config import ThreadTtlConfig
from harness.storage.engine import Backend
from harness.storage.lifetimes import default_ttl
from harness.storage.resources.assistants import Assistants
from harness.storage.resources.crons import Crons
from harness.storage.resources.items import Items
from harness.storage.resources.runs import Runs
from harness.storage.resources.threads import Threads


class LocalStorage:
    """A `FullStorage` over a backend's engines.

    Args:
        backend: What stores.
        thread_ttl: How long threads live for which nothing is said; by default for ever.
    """

    def __init__(self, backend: Backend, *, thread_ttl: ThreadTtlConfig | None = None) -> None:
        ttl = None if thread_ttl is None else default_ttl(thread_ttl)
        self.assistants = Assistants(backend.assistants)
        self.threads = Threads(backend.threads, ttl)
        self.runs = Runs(backend.runs, ttl)
        self.items = Items(backend.items)
        self.crons = Crons(backend.crons, ttl)
        self.leases = backend.leases
