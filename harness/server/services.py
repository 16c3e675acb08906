"""Everything that the routes work with, made once when the server starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.agents.graph import Saver
    from harness.config import ServerConfig
    from harness.persistence import AgentStore
    from harness.server.execution.executor import Executor
    from harness.server.graphs import Graphs
    from harness.server.health import Probe
    from harness.server.metrics import Metrics
    from harness.server.streams import Streams
    from harness.server.sweeping import Sweeper
    from harness.server.webhooks import Webhooks
    from harness.storage.extensions import FullStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a route may use."""

    config: ServerConfig
    storage: FullStorage
    checkpointer: Saver
    store: AgentStore
    graphs: Graphs
    health: Probe
    executor: Executor
    streams: Streams
    metrics: Metrics
    webhooks: Webhooks
    sweeper: Sweeper
