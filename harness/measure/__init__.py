"""Measures what storage costs: timings beside their floors, pool utilization, records of both."""
