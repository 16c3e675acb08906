"""What the server counts, for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "harness_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "harness_request_seconds",
            "Seconds until a request was answered, or its stream began.",
            ("method", "route"),
            registry=self._registry,
        )
        self.streams = Gauge(
            "harness_open_streams", "Event streams that are open.", registry=self._registry
        )
        self.running = Gauge(
            "harness_running_runs", "Runs that are being executed.", registry=self._registry
        )
        self.runs = Counter(
            "harness_runs", "Runs that ended here.", ("status",), registry=self._registry
        )

        self._pool = Gauge(
            "harness_database_pool",
            "What psycopg_pool tells of the connections.",
            ("what",),
            registry=self._registry,
        )

    def note_pool(self, stats: Mapping[str, int]) -> None:
        """Take what a pool tells of its connections at this moment."""
        for name, value in stats.items():
            self._pool.labels(name).set(value)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry).decode()
