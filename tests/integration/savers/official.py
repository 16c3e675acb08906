"""The official conformance functions, by the capability that each asks about."""

from importlib import import_module

import pytest
from langgraph.checkpoint.conformance.capabilities import Capability

OFFICIAL = [
    pytest.param(capability.value, function, id=function.__name__.removeprefix("test_"))
    for capability in Capability
    for function in getattr(
        import_module(f"langgraph.checkpoint.conformance.spec.test_{capability.value}"),
        f"ALL_{capability.name}_TESTS",
    )
]
"""Pytest's parameters `(capability, function)`, an id for each function."""
