"""The graphs by the name that a server, a test or a benchmark asks for."""

from collections.abc import Mapping
from types import MappingProxyType

from harness.agents.agent import build_agent
from harness.agents.approval import build_approval
from harness.agents.graph import GraphBuilder
from harness.agents.memory import build_memory
from harness.agents.nested import build_nested
from harness.agents.steps import build_steps

GRAPHS: Mapping[str, GraphBuilder] = MappingProxyType(
    {
        "agent": build_agent,
        "memory": build_memory,
        "approval": build_approval,
        "steps": build_steps,
        "nested": build_nested,
    }
)
"""Name to builder; a compiled graph bears the same name."""
