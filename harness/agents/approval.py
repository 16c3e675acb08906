"""The graph `approval`: it stops before it acts, and goes on when a human has answered."""

import operator
from typing import Annotated, Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore
from langgraph.types import interrupt
from typing_extensions import TypedDict

from harness.agents.graph import Graph, Saver


class ApprovalState(TypedDict):
    """What is to be done, and what became of it."""

    action: str
    approved: bool | None
    """None until somebody has answered."""
    log: Annotated[list[str], operator.add]
    """Every node that finished, in order."""


async def _propose(state: ApprovalState) -> dict[str, Any]:
    return {"approved": None, "log": [f"proposed {state['action']}"]}


async def _ask(state: ApprovalState) -> dict[str, Any]:
    answer = interrupt({"question": f"May I {state['action']}?", "action": state["action"]})
    return {"approved": answer is True}  # whatever is not a plain yes is a no


def _decision(state: ApprovalState) -> Literal["act", "refuse"]:
    return "act" if state["approved"] else "refuse"


async def _act(state: ApprovalState) -> dict[str, Any]:
    return {"log": [f"did {state['action']}"]}


async def _refuse(state: ApprovalState) -> dict[str, Any]:
    return {"log": [f"did not {state['action']}"]}


def build_approval(checkpointer: Saver | None = None, store: BaseStore | None = None) -> Graph:
    """Compile the graph: `propose`, `ask` (which interrupts), then `act` or `refuse`.

    Input: `{"action": "delete the files"}`. It goes on with `Command(resume=True)`; any other
    answer is a refusal.

    Args:
        checkpointer: Where the thread waits for its answer; interrupts need one.
        store: Not used by this graph's nodes.
    """
    graph = StateGraph(ApprovalState)
    graph.add_node("propose", _propose)
    graph.add_node("ask", _ask)
    graph.add_node("act", _act)
    graph.add_node("refuse", _refuse)
    graph.add_edge(START, "propose")
    graph.add_edge("propose", "ask")
    graph.add_conditional_edges("ask", _decision)
    graph.add_edge("act", END)
    graph.add_edge("refuse", END)
    return graph.compile(checkpointer, store=store, name="approval")
