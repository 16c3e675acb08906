"""A thread that real turns of the graph `agent` make longer, one at a time."""

from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from harness.agents import Graph, build_agent
from harness.database import Database
from harness.errors import ResultsError
from harness.measure.agent_records import Channels, Durability
from harness.measure.talk import TalkingModel, said
from harness.persistence import PooledSaver


def graph_on(database: Database, channels: Channels) -> Graph:
    """Compile the graph on our saver; both sides say the same words whatever the channels."""
    return build_agent(PooledSaver(database), model=TalkingModel(), delta=channels == "delta")


def config_of(thread_id: str) -> RunnableConfig:
    """Return the config of a run on a thread."""
    return {"configurable": {"thread_id": thread_id}}


def texts_of(state: StateSnapshot) -> list[str]:
    """Return what was said up to a state of a thread."""
    return [str(message.text) for message in state.values.get("messages", [])]


class GrowingThread:
    """A conversation that is carried on.

    Args:
        graph: The graph `agent`.
        thread_id: Its thread, which nobody else writes to.
        durability: When the graph stores its supersteps.
    """

    def __init__(self, graph: Graph, thread_id: str, durability: Durability = "async") -> None:
        self.graph, self.thread_id = graph, thread_id
        self.turns = 0
        self._durability: Durability = durability

    async def turn(self) -> None:
        """Say the next thing, and get an answer.

        Raises:
            ResultsError: The state doesn't hold two messages for each turn.
        """
        self.turns += 1
        said_now: dict[str, Any] = {"messages": [HumanMessage(said(self.turns))]}
        config = config_of(self.thread_id)
        state = await self.graph.ainvoke(said_now, config, durability=self._durability)
        if len(state["messages"]) != 2 * self.turns:
            raise ResultsError(
                f"after {self.turns} turns {len(state['messages'])} messages were there"
            )
