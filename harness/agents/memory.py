"""The graph `memory`: what a user asked to remember is known in all of that user's threads."""

import hashlib
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore

from harness.agents.graph import Graph, Saver
from harness.agents.model import chosen_model
from harness.agents.prompts import facts_prompt
from harness.agents.replies import fact_in
from harness.errors import ConfigError, InvalidInput

_PAGE = 100


def facts_namespace(user_id: str) -> tuple[str, str, str]:
    """Return where a user's facts lie in the store; no two users share it.

    A label holds no dot, which an e-mail address does: `~` is written `~0` and `.` is `~1`,
    as JSON pointers (RFC 6901) escape their own two letters.
    """
    return ("users", user_id.replace("~", "~0").replace(".", "~1"), "facts")


def build_memory(
    checkpointer: Saver | None = None,
    store: BaseStore | None = None,
    model: BaseChatModel | None = None,
) -> Graph:
    """Compile the graph: `remember` puts a fact into the store, `answer` reads all of them.

    Input: `{"messages": [...]}`; the user is `config["configurable"]["user_id"]`. "Remember that …"
    puts a fact, once however often it is said or the node is run again; "What do you know?" is
    answered from the store.

    Args:
        checkpointer: Where the conversation of each thread is kept; None: it is forgotten.
        store: Where facts are kept for all threads of a user; a run without one fails.
        model: Who answers; by default `chosen_model()`.
    """
    chat = chosen_model() if model is None else model

    async def remember(
        state: MessagesState, *, config: RunnableConfig, store: BaseStore | None
    ) -> None:
        if store is None:
            raise ConfigError("the memory graph was built without a store")
        namespace = _namespace(config)
        said = [m for m in state["messages"] if isinstance(m, HumanMessage)]
        if said and (fact := fact_in(str(said[-1].text))):
            key = hashlib.sha256(fact.encode("utf-8", "surrogatepass")).hexdigest()
            await store.aput(namespace, key, {"fact": fact})

    async def answer(
        state: MessagesState, *, config: RunnableConfig, store: BaseStore
    ) -> dict[str, Any]:
        facts = await _facts(store, _namespace(config))
        prompt = [SystemMessage(facts_prompt(facts))] if facts else []
        return {"messages": [await chat.ainvoke([*prompt, *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_node("remember", remember)
    graph.add_node("answer", answer)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer, store=store, name="memory")


def _namespace(config: RunnableConfig) -> tuple[str, str, str]:
    user_id = config.get("configurable", {}).get("user_id")
    if not isinstance(user_id, str) or not user_id:
        raise InvalidInput("the memory graph needs configurable.user_id, a text that is not empty")
    return facts_namespace(user_id)


async def _facts(store: BaseStore, namespace: tuple[str, ...]) -> list[str]:
    """Return all facts of a namespace, sorted: stores differ in the order of what they find."""
    facts: set[str] = set()
    offset = 0
    while True:
        page = await store.asearch(namespace, limit=_PAGE, offset=offset)
        facts.update(item.value["fact"] for item in page)
        if len(page) < _PAGE:
            return sorted(facts)
        offset += _PAGE
