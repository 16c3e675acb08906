"""Claims runs while there are any, and executes as many at a time as it may."""

from harness.config import ServerConfig
from harness.server.graphs import Graphs
from harness.server.metrics import Metrics
from harness.storage.extensions import FullStorage


class Executor:
    """Executes runs of all owners under leases."""

    def __init__(
        self, storage: FullStorage, graphs: Graphs, config: ServerConfig, metrics: Metrics
    ) -> None:
        self._storage, self._graphs = storage, graphs
        self._config, self._metrics = config, metrics

    async def start(self) -> None:
        """Begin to claim."""

    async def stop(self, grace_s: float) -> None:
        """Claim no more, and hand back what is not done within so many seconds."""
