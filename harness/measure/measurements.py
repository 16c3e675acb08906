"""Every measurement by the kind of its results: what runs, notebooks and reports go through."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from harness.measure.durability import measure_durability
from harness.measure.growth import measure_growth
from harness.measure.paired import OnProgress
from harness.measure.plans import Plan
from harness.measure.records import Kind, Results
from harness.measure.run import measure_pool, measure_timings
from harness.measure.savers import measure_savers
from harness.measure.served import measure_server
from harness.measure.server_restarts import measure_server_restarts
from harness.measure.stores import measure_stores
from harness.measure.streaming import measure_streaming
from harness.provision import PostgresServer


class Measure(Protocol):
    """Measures what a plan asks for; results of a cancelled one hold what it had by then."""

    def __call__(
        self, server: PostgresServer | None, plan: Plan, *, on_progress: OnProgress = ...
    ) -> Awaitable[Results]:
        """Measure on scratch databases of a server; None: what needs none."""
        ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """One of the measurements."""

    measure: Measure
    needs_postgres: bool = False
    """Whether there is nothing to measure without a server."""


MEASUREMENTS: Final[Mapping[Kind, Measurement]] = MappingProxyType(
    {
        "timings": Measurement(measure_timings),
        "pool": Measurement(measure_pool),
        "streaming": Measurement(measure_streaming),
        "savers": Measurement(measure_savers, needs_postgres=True),
        "growth": Measurement(measure_growth, needs_postgres=True),
        "stores": Measurement(measure_stores),
        "restarts": Measurement(measure_server_restarts),
        "durability": Measurement(measure_durability, needs_postgres=True),
        "server": Measurement(measure_server),
    }
)
"""In the order in which they are made."""
