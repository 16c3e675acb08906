"""Graphs that need no LLM: conversation, cross-thread memory, approval, slow steps, a subgraph."""

from harness.agents.agent import build_agent
from harness.agents.approval import build_approval
from harness.agents.graph import Graph, GraphBuilder
from harness.agents.memory import build_memory, facts_namespace
from harness.agents.model import DeterministicChatModel, chosen_model
from harness.agents.nested import build_nested
from harness.agents.registry import GRAPHS
from harness.agents.steps import StepFailed, build_steps

__all__ = [
    "GRAPHS",
    "DeterministicChatModel",
    "Graph",
    "GraphBuilder",
    "StepFailed",
    "build_agent",
    "build_approval",
    "build_memory",
    "build_nested",
    "build_steps",
    "chosen_model",
    "facts_namespace",
]
