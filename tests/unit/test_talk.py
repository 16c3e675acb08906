"""The conversation that growth is measured with."""

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from harness.agents import build_agent
from harness.measure.talk import TalkingModel, answered, said


async def test_both_sides_say_the_same_each_time_whatever_the_channels() -> None:
    """Plain and delta channels hold the very words of the conversation, and a short summary."""
    for delta in (False, True):
        graph = build_agent(InMemorySaver(), model=TalkingModel(), delta=delta)
        for turn in range(1, 4):
            state = await graph.ainvoke(
                {"messages": [HumanMessage(said(turn))]}, {"configurable": {"thread_id": "a"}}
            )
        told = [message.text for message in state["messages"]]
        assert told == [text for turn in range(1, 4) for text in (said(turn), answered(turn))]
        assert state["summary"] == " ".join(said(3).split()[:6])


def test_nothing_is_said_twice() -> None:
    """Two hundred turns are as many questions and answers, each a sentence or a few."""
    texts = [text for turn in range(1, 201) for text in (said(turn), answered(turn))]
    assert len(set(texts)) == len(texts)
    assert all(1 <= text.count(".") <= 4 and text.endswith(".") for text in texts)
