"""The graph `steps`: a chain of supersteps that can be slow, and can fail where it is told to."""

import asyncio
import math
import operator
from typing import Annotated, Any

from langgraph.channels import EphemeralValue
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore
from typing_extensions import TypedDict

from harness.agents.graph import Graph, Saver
from harness.errors import HarnessError, InvalidInput


class StepFailed(HarnessError, RuntimeError):
    """The step that was told to fail was reached."""


class Plan(TypedDict):
    """What a run is to do."""

    delay_s: float
    """Seconds that each step takes."""
    steps: int
    fail_at: int | None
    """The step that raises, from 1; None: none does."""


class StepsState(TypedDict):
    """The run's input, which is gone after the first superstep, and what came of it."""

    # An input that stayed would fail the next run too, which says nothing of failing.
    delay_s: Annotated[float, EphemeralValue]
    steps: Annotated[int, EphemeralValue]
    fail_at: Annotated[int | None, EphemeralValue]
    plan: Plan
    step: int
    """The last finished step of this run; 0 before the first."""
    done: Annotated[list[int], operator.add]
    """Every step that finished, of all the thread's runs, in order."""


class StepsInput(TypedDict, total=False):
    """The input of a run; by default one step, at once, that succeeds."""

    delay_s: float
    steps: int
    fail_at: int | None


async def _begin(state: StepsInput) -> dict[str, Any]:
    given: dict[str, Any] = {**state}  # what callers send need not be what the types say
    delay_s, steps, fail_at = given.get("delay_s", 0.0), given.get("steps", 1), given.get("fail_at")
    if not isinstance(delay_s, int | float) or not 0 <= delay_s < math.inf:
        raise InvalidInput(f"delay_s must be a number of seconds from 0, not {delay_s!r}")
    if type(steps) is not int or steps < 0:
        raise InvalidInput(f"steps must be a whole number from 0, not {steps!r}")
    if fail_at is not None and type(fail_at) is not int:
        raise InvalidInput(f"fail_at must be a step's number or null, not {fail_at!r}")
    return {"plan": Plan(delay_s=delay_s, steps=steps, fail_at=fail_at), "step": 0}


async def _step(state: StepsState) -> dict[str, Any]:
    plan, number = state["plan"], state["step"] + 1
    await asyncio.sleep(plan["delay_s"])
    if number == plan["fail_at"]:
        raise StepFailed(f"step {number} of {plan['steps']} failed, as it was told to")
    return {"step": number, "done": [number]}


def _next(state: StepsState) -> str:
    return "step" if state["step"] < state["plan"]["steps"] else END


def build_steps(checkpointer: Saver | None = None, store: BaseStore | None = None) -> Graph:
    """Compile the graph: `begin`, then `step` as many times as the input says.

    Input: `{"delay_s": 0.1, "steps": 20, "fail_at": 7}`, each optional. What ran stands in `done`.
    A failed run goes on where it stopped (input None) once `plan` says no more that it fails.

    Args:
        checkpointer: Where each step is recorded.
        store: Not used by this graph's nodes.
    """
    graph = StateGraph(StepsState, input_schema=StepsInput)
    graph.add_node("begin", _begin)
    graph.add_node("step", _step)
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", _next, ["step", END])
    graph.add_conditional_edges("step", _next, ["step", END])
    return graph.compile(checkpointer, store=store, name="steps")
