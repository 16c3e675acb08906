"""What the server counts, for Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from harness.runtime import get_pool, get_pool_usage


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Pool())
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
        self.webhooks = Counter(
            "harness_webhooks",
            "Webhooks of runs: delivered, failed, dropped or lost.",
            ("outcome",),
            registry=self._registry,
        )

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry).decode()


class _Pool(Collector):
    """Tells of the database's connections when it is asked; of none in memory mode.

    Over a time, `busy_seconds` by `size` is how much of the pool was used, and `waiting_seconds`
    how many callers waited for a connection on average.
    """

    def collect(self) -> Iterator[Metric]:
        pool, usage = get_pool(), get_pool_usage()
        if pool is None or usage is None:
            return
        for name, text, now in (
            ("size", "Connections that there may be.", pool.max_size),
            ("in_use", "Connections in use.", usage.in_use),
            ("waiting", "Callers that wait for a connection.", usage.waiting),
        ):
            yield GaugeMetricFamily(f"harness_pool_{name}", text, now)
        for name, text, so_far in (
            ("busy_seconds", "Seconds that connections were in use.", usage.busy_s),
            ("waiting_seconds", "Seconds that callers waited for one.", usage.waiting_s),
            ("checkouts", "Connections that callers got.", usage.checkouts),
        ):
            yield CounterMetricFamily(f"harness_pool_{name}", text, so_far)
