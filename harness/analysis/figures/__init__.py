"""The pictures of the notebooks: from records to figures whose title is their message."""

from harness.analysis.figures.contract import contract_matrix, slowest_tests
from harness.analysis.figures.database import table_sizes
from harness.analysis.figures.growth import (
    pruning_gain,
    read_latency,
    thread_growth,
    turn_cost,
    yearly_growth,
)
from harness.analysis.figures.pool import busy_share, pool_timeline, saturation, waits
from harness.analysis.figures.ratios import ratios
from harness.analysis.figures.restart import deaths
from harness.analysis.figures.restarts import restart_times
from harness.analysis.figures.savers import saver_connections, saver_ratios, saver_throughput
from harness.analysis.figures.served_turns import served_turns, turn_shares
from harness.analysis.figures.serving import served_creates, served_pool, served_ratios
from harness.analysis.figures.stores import store_matrix, store_mix, store_timings
from harness.analysis.figures.streaming import far_throughput, stream_ratios, turn_times
from harness.analysis.figures.timings import create_timings, other_operations

__all__ = [
    "busy_share",
    "contract_matrix",
    "create_timings",
    "deaths",
    "far_throughput",
    "other_operations",
    "pool_timeline",
    "pruning_gain",
    "ratios",
    "read_latency",
    "restart_times",
    "saturation",
    "saver_connections",
    "saver_ratios",
    "saver_throughput",
    "served_creates",
    "served_pool",
    "served_ratios",
    "served_turns",
    "slowest_tests",
    "store_matrix",
    "store_mix",
    "store_timings",
    "stream_ratios",
    "table_sizes",
    "thread_growth",
    "turn_cost",
    "turn_shares",
    "turn_times",
    "waits",
    "yearly_growth",
]
