"""Listens to LangGraph as it runs a conversation, so that savers are asked what it asks."""

from collections.abc import Sequence
from typing import Any, Final, cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.memory import InMemorySaver

from harness.agents import DeterministicChatModel, build_agent
from harness.measure.turns import INLINE, Call, Get, Put, Turn, Write

SAID: Final = (
    "My name is Alice and I live in Lisbon.",
    "What is the weather like today?",
    "And what was it like yesterday?",
    "Shall I take a coat with me tomorrow?",
    "What's my name?",
)


async def recorded_turn() -> Turn:
    """Let the graph `agent` talk for some turns, and return what the last of them asked for.

    Two model calls a turn, a conversation of ten messages at its end, and every write awaited
    before the next step (`durability="sync"`).
    """
    saver = _Listening()
    graph = build_agent(saver, model=DeterministicChatModel())
    config: RunnableConfig = {"configurable": {"thread_id": "recorded"}}
    for said in SAID:
        saver.begin()
        await graph.ainvoke({"messages": [HumanMessage(said)]}, config, durability="sync")
    return Turn(tuple(saver.calls), sum(isinstance(call, Put) for call in saver.calls))


class _Listening(InMemorySaver):
    """Notes each call of the current turn."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._puts = 0
        self._base = self._newest = 0

    def begin(self) -> None:
        """Forget the calls of the turn before."""
        self.calls.clear()
        self._puts, self._base = 0, self._newest + 1

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        self.calls.append(Get())
        return await super().aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        numbers = {
            channel: _number(version) for channel, version in checkpoint["channel_versions"].items()
        }
        self._newest = max(numbers.values())
        values = checkpoint["channel_values"]
        self.calls.append(
            Put(
                place=self._puts,
                checkpoint=cast("Checkpoint", {**checkpoint, "channel_values": dict(values)}),
                metadata=cast("CheckpointMetadata", dict(metadata)),
                changed=tuple(new_versions),
                versions={channel: number - self._base for channel, number in numbers.items()},
                blobs=sum(not isinstance(values.get(name), INLINE) for name in new_versions),
            )
        )
        self._puts += 1
        return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        self.calls.append(
            Write(place=self._puts - 1, writes=tuple(writes), task_id=task_id, task_path=task_path)
        )
        await super().aput_writes(config, writes, task_id, task_path)


def _number(version: str | float) -> int:
    return int(str(version).split(".", maxsplit=1)[0])
