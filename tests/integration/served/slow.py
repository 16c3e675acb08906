"""The agent with a model that takes its time, as real ones do: a run has a midst."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from harness.agents import DeterministicChatModel, build_agent

PER_TOKEN_S = 0.003


class SlowChatModel(DeterministicChatModel):
    """Says what the deterministic one says, token by token."""

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
            yield chunk
            await asyncio.sleep(PER_TOKEN_S)


graph = build_agent(model=SlowChatModel())
