"""Contracts as test modules that know what they ask, for `harness.measure.contract_run`."""
