"""The chat model of the graphs: a deterministic one that needs no key, or the configured one."""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from harness.agents.replies import reply_to
from harness.config import model_name
from harness.errors import ConfigError

_TOKEN = re.compile(r"\s*\S{1,6}|\s+$")


def tokens(text: str) -> list[str]:
    """Cut a text into word pieces, as a tokenizer would; joined they are the text again."""
    return _TOKEN.findall(text)


class DeterministicChatModel(BaseChatModel):
    """A LangChain chat model that answers by rule, and streams its answer token by token.

    It knows what the messages tell it and nothing else, so that what it knows in a later turn is
    what the persistence under the graph gave back. Callers' callbacks, tracing, streaming and
    caching work as on any `BaseChatModel`.
    """

    @property
    def _llm_type(self) -> str:
        return "harness-deterministic"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager, kwargs
        message = AIMessage(content=self._until(messages, stop))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # The inherited one takes a thread for it, which costs more than the reply.
        del run_manager
        return self._generate(messages, stop, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager, kwargs  # LangChain itself calls the callbacks for each chunk
        *pieces, last = tokens(self._until(messages, stop)) or [""]
        for piece in pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        yield ChatGenerationChunk(message=AIMessageChunk(content=last, chunk_position="last"))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager
        for chunk in self._stream(messages, stop, **kwargs):
            yield chunk
            await asyncio.sleep(0)  # the reader takes this token before the next is made

    def reply(self, messages: list[BaseMessage]) -> str:
        """Return the reply: the rule, which a subclass may replace."""
        return reply_to(messages)

    def _until(self, messages: list[BaseMessage], stop: list[str] | None) -> str:
        """Return the reply up to the first of the stop words."""
        text = self.reply(messages)
        for word in stop or []:
            text = text.split(word, 1)[0]
        return text


def chosen_model() -> BaseChatModel:
    """Return the model that `HARNESS_MODEL` names, or the deterministic one if it is unset.

    Raises:
        ConfigError: The name is not provider:name, LangChain or the provider's package is not
            installed, or the provider refuses to make the model.
    """
    name = model_name()
    if name is None:
        return DeterministicChatModel()
    try:
        # By name, because the package is an optional extra that need not be there to type-check.
        chat_models = importlib.import_module("langchain.chat_models")
        model: BaseChatModel = chat_models.init_chat_model(name)
    except ImportError as exc:
        raise ConfigError(
            f"HARNESS_MODEL={name} needs a package that is not installed: {_first_line(exc)}"
        ) from exc
    except Exception as exc:  # each provider has errors of its own, and their text may hold a key
        raise ConfigError(
            f"HARNESS_MODEL={name} cannot be used: making it raised {type(exc).__name__}"
        ) from exc
    return model


def _first_line(exc: ImportError) -> str:
    return str(exc).split("\n", 1)[0]
