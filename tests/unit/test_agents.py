"""The graphs: what they remember, stream, ask and resume, on LangGraph's own memory backends."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from harness.agents import (
    GRAPHS,
    DeterministicChatModel,
    Graph,
    StepFailed,
    build_agent,
    build_approval,
    build_memory,
    build_nested,
    build_steps,
    chosen_model,
    facts_namespace,
)
from harness.agents.model import tokens
from harness.agents.prompts import facts_in_prompt, facts_prompt
from harness.config import model_name
from harness.errors import ConfigError, InvalidInput


@pytest.fixture(scope="module", autouse=True)
def no_model_is_configured() -> Iterator[None]:
    """These tests need no key, also where somebody has configured a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HARNESS_MODEL", raising=False)
        yield


def on(thread_id: str, **configurable: str) -> RunnableConfig:
    """Return the config of a run on a thread."""
    return {"configurable": {"thread_id": thread_id, **configurable}}


async def say(graph: Graph, config: RunnableConfig, text: str) -> str:
    """Say something in a conversation; return the answer."""
    state = await graph.ainvoke({"messages": [HumanMessage(text)]}, config)
    return str(state["messages"][-1].text)


async def streamed(
    graph: Graph, text: str, config: RunnableConfig
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Return the tokens that each node streamed in a turn, and the state at its end."""
    pieces: dict[str, list[str]] = defaultdict(list)
    turn = {"messages": [HumanMessage(text)]}
    part: Any  # LangGraph's type for it is a union over all stream modes
    async for part in graph.astream(turn, config, stream_mode="messages"):
        message, metadata = part
        assert isinstance(message, AIMessageChunk)
        pieces[metadata["langgraph_node"]].append(str(message.content))
    return pieces, (await graph.aget_state(config)).values


class TestModel:
    """The deterministic model, as a LangChain chat model."""

    @given(st.text())
    def test_tokens_join_to_the_text(self, text: str) -> None:
        """Cut into tokens and joined again, any text is itself, and no token is empty."""
        assert "".join(tokens(text)) == text
        assert all(tokens(text))

    @given(st.text())
    async def test_every_way_to_call_it_gives_one_reply(self, text: str) -> None:
        """Invoked or streamed, blocking or not, the reply is the same and not empty."""
        model: BaseChatModel = DeterministicChatModel()
        reply = (await model.ainvoke(text)).text
        assert reply
        assert model.invoke(text).text == reply
        assert "".join([chunk.text async for chunk in model.astream(text)]) == reply
        assert "".join(chunk.text for chunk in model.stream(text)) == reply

    @pytest.mark.parametrize(
        ("told", "name"),
        [
            ("My name is Alice", "Alice"),
            ("Hello. my name's Mary Ann, and yours?", "Mary Ann"),
            ("My name is Bob and I like tea.", "Bob"),
            ("My name is Bob. No: my name is Carol.", "Carol"),
        ],
    )
    @pytest.mark.parametrize("question", ["What's my name?", "what is my name", "Who am I?"])
    def test_it_knows_the_name_that_it_was_told(self, told: str, name: str, question: str) -> None:
        """A name that stands anywhere in the history is known, the last one counts."""
        history = [HumanMessage("My name is Dan"), HumanMessage(told), AIMessage("Hello.")]
        reply = DeterministicChatModel().invoke([*history, HumanMessage(question)])
        assert reply.text == f"Your name is {name}."

    def test_it_says_what_it_does_not_know(self) -> None:
        """Without a word of it in the history, it knows neither a name nor a fact."""
        history = [HumanMessage("Hello"), AIMessage("My name is Robot. Remember that.")]
        model = DeterministicChatModel()
        for question in ("What's my name?", "What do you know?"):
            assert "don't know" in model.invoke([*history, HumanMessage(question)]).text

    def test_a_stop_word_ends_the_reply(self) -> None:
        """The reply ends before the first stop word, streamed too, and may then be empty."""
        model = DeterministicChatModel()
        assert model.invoke("one two three", stop=["two"]).text == "You said: one "
        assert "".join(c.text for c in model.stream("one", stop=[" said"])) == "You"
        assert "".join(c.text for c in model.stream("one", stop=["You"])) == ""

    @example(["- a -", ""])
    @given(st.lists(st.text(st.characters(exclude_characters="\n"))))
    def test_facts_survive_the_prompt(self, facts: list[str]) -> None:
        """The model reads from the prompt exactly the facts that were put in, and no other text."""
        assert facts_in_prompt(facts_prompt(facts)) == facts
        assert facts_in_prompt("Be kind.\n- always") == []

    def test_facts_of_the_prompt_are_known(self) -> None:
        """What the system prompt tells of earlier conversations is known in this one."""
        history = [SystemMessage(facts_prompt(["my name is Alice", "tea is good"]))]
        model = DeterministicChatModel()
        assert "Alice" in model.invoke([*history, HumanMessage("What's my name?")]).text
        assert "tea is good" in model.invoke([*history, HumanMessage("What do you know?")]).text


class TestChosenModel:
    """`HARNESS_MODEL`."""

    def test_the_deterministic_one_needs_no_setting(self) -> None:
        """With nothing set, no key and no network is needed."""
        assert isinstance(chosen_model(), DeterministicChatModel)

    @pytest.mark.parametrize("name", ["gpt", ":gpt", "openai:"])
    def test_a_name_of_another_form_is_refused(self, name: str) -> None:
        """What is not provider:name is refused, by the variable's name."""
        with pytest.raises(ConfigError, match="HARNESS_MODEL must be provider:name"):
            model_name({"HARNESS_MODEL": name})

    def test_the_name_may_hold_colons(self) -> None:
        """The provider ends at the first colon, as in `ollama:llama3:8b`."""
        assert model_name({"HARNESS_MODEL": "ollama:llama3:8b"}) == "ollama:llama3:8b"

    def test_what_cannot_be_made_is_one_clear_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing extra, or a provider that nobody has, says in one line which setting it is."""
        monkeypatch.setenv("HARNESS_MODEL", "nobody:nothing")
        with pytest.raises(ConfigError, match=r"\AHARNESS_MODEL=nobody:nothing [^\n]+\Z"):
            build_agent()

    async def test_another_chat_model_drops_in(self) -> None:
        """The same graph streams the words of any other LangChain chat model."""
        model = GenericFakeChatModel(messages=iter(["Good day to you", "a greeting"]))
        graph = build_agent(InMemorySaver(), model=model)
        pieces, state = await streamed(graph, "Hello", on("a"))
        assert "".join(pieces["answer"]) == state["messages"][-1].text == "Good day to you"
        assert "".join(pieces["summarize"]) == state["summary"] == "a greeting"


class TestAgent:
    """The conversation."""

    async def test_a_thread_remembers_and_no_other_does(self) -> None:
        """Two interleaved threads each know their own name, a third knows none."""
        saver = InMemorySaver()
        await say(build_agent(saver), on("a"), "My name is Alice")
        await say(build_agent(saver), on("b"), "My name is Bob")
        assert "Alice" in await say(build_agent(saver), on("a"), "What's my name?")
        assert "Bob" in await say(build_agent(saver), on("b"), "What's my name?")
        assert "don't know" in await say(build_agent(saver), on("c"), "What's my name?")

    async def test_without_a_checkpointer_it_forgets(self) -> None:
        """Memory is the checkpointer's alone: nothing is kept in the graph or the model."""
        graph = build_agent()
        await say(graph, on("a"), "My name is Alice")
        assert "don't know" in await say(graph, on("a"), "What's my name?")

    async def test_a_turn_is_two_messages(self) -> None:
        """After n turns the state holds 2n messages, in order."""
        graph, said = build_agent(InMemorySaver()), [f"line {n}" for n in range(5)]
        for line in said:
            await say(graph, on("a"), line)
        messages = (await graph.aget_state(on("a"))).values["messages"]
        expected = [text for line in said for text in (line, f"You said: {line}")]
        assert [message.text for message in messages] == expected

    async def test_delta_channels_store_what_is_added_and_hold_it_all(self) -> None:
        """With `delta` no checkpoint of a short thread holds its messages, and the state does."""
        held = {}
        for delta in (False, True):
            saver = InMemorySaver()
            for line in ("My name is Alice", "What's my name?"):
                await say(build_agent(saver, delta=delta), on("a"), line)
            state = await build_agent(saver, delta=delta).aget_state(on("a"))
            held[delta] = [message.text for message in state.values["messages"]]
            stored = [one.checkpoint["channel_values"] async for one in saver.alist(on("a"))]
            assert any("messages" in values for values in stored) != delta
        assert held[True] == held[False]
        assert held[True][-1] == "Your name is Alice."

    @given(st.text())
    async def test_tokens_of_every_node_join_to_its_text(self, text: str) -> None:
        """What both nodes stream joins to what the state holds, whatever was said."""
        pieces, state = await streamed(build_agent(InMemorySaver()), text, on("a"))
        assert set(pieces) == {"answer", "summarize"}
        assert "".join(pieces["answer"]) == state["messages"][-1].text
        assert "".join(pieces["summarize"]) == state["summary"]

    async def test_tokens_come_before_their_node_ends(self) -> None:
        """The answer's tokens, several of them, are there before its state update is."""
        turn = {"messages": [HumanMessage("Hello to everybody")]}
        parts = build_agent().astream(turn, stream_mode=["messages", "updates"])
        modes = [mode async for mode, _ in parts]
        assert modes.index("updates") > 3
        assert modes.count("updates") == 2


class TestMemory:
    """Facts across threads."""

    async def test_a_fact_is_known_in_other_threads_of_its_user_only(self) -> None:
        """Told in one thread, a fact is known in the user's next, and to nobody else."""
        graph = build_memory(InMemorySaver(), InMemoryStore())
        await say(graph, on("1", user_id="alice@example.com"), "Remember that I like tea.")
        reply = await say(graph, on("2", user_id="alice@example.com"), "What do you know?")
        assert reply == "You told me: I like tea."
        for stranger in ("alice", "alice@example", "alice@example.com.au", "a%"):
            reply = await say(graph, on("3" + stranger, user_id=stranger), "What do you know?")
            assert reply == "I don't know anything about you."

    async def test_a_fact_is_stored_once(self) -> None:
        """A fact said twice is one item, as it must be when a crashed run is taken up again."""
        store = InMemoryStore()
        graph = build_memory(InMemorySaver(), store)
        for _ in range(2):
            await say(graph, on("1", user_id="alice"), "Please remember that I  like tea!")
        items = await store.asearch(facts_namespace("alice"))
        assert [item.value for item in items] == [{"fact": "I like tea"}]

    async def test_all_facts_are_read(self) -> None:
        """More facts than the store gives at once are all known."""
        store = InMemoryStore()
        facts = [f"fact {n:03}" for n in range(201)]
        for fact in facts:
            await store.aput(facts_namespace("alice"), fact, {"fact": fact})
        graph = build_memory(InMemorySaver(), store)
        reply = await say(graph, on("1", user_id="alice"), "What do you know?")
        assert reply == f"You told me: {'; '.join(facts)}."

    @pytest.mark.parametrize("user", [{}, {"user_id": ""}])
    async def test_a_run_of_nobody_is_refused(self, user: dict[str, str]) -> None:
        """Without a user no fact is written, and none is read."""
        store = InMemoryStore()
        with pytest.raises(InvalidInput, match="user_id"):
            await say(build_memory(None, store), on("1", **user), "Remember that I like tea")
        assert await store.asearch(()) == []

    async def test_a_missing_store_is_said(self) -> None:
        """Built without a store, a run says so instead of forgetting."""
        with pytest.raises(ConfigError, match="store"):
            await say(build_memory(), on("1", user_id="alice"), "Remember that I like tea")

    @example("a.b", "a~1b")
    @example("a~", "a~0")
    @given(*[st.text("a.~01", min_size=1, max_size=4)] * 2)
    def test_no_two_users_share_a_namespace(self, one: str, other: str) -> None:
        """Unlike user ids have unlike namespaces, and no label holds a dot."""
        assert (facts_namespace(one) == facts_namespace(other)) == (one == other)
        assert "." not in "".join(facts_namespace(one))


class TestApproval:
    """Interrupt and resume."""

    @pytest.mark.parametrize(
        ("answer", "end"),
        [(True, "did go"), (False, "did not go"), ("yes", "did not go"), (1, "did not go")],
    )
    async def test_it_waits_for_the_answer(self, answer: Any, end: str) -> None:
        """It acts only after a plain yes, and what ran before the question runs once."""
        saver = InMemorySaver()
        stopped = await build_approval(saver).ainvoke({"action": "go"}, on("a"))
        assert [i.value["question"] for i in stopped["__interrupt__"]] == ["May I go?"]
        waiting = await build_approval(saver).aget_state(on("a"))
        assert waiting.next == ("ask",)
        assert waiting.values["log"] == ["proposed go"]
        resumed = await build_approval(saver).ainvoke(Command(resume=answer), on("a"))
        assert resumed["log"] == ["proposed go", end]
        assert (await build_approval(saver).aget_state(on("a"))).next == ()


class TestSteps:
    """The chain that can fail."""

    async def test_a_failed_step_is_where_it_goes_on(self) -> None:
        """A run that failed holds the steps before, fails there again, then finishes from there."""
        graph = build_steps(InMemorySaver())
        with pytest.raises(StepFailed, match="step 3 of 5"):
            await graph.ainvoke({"steps": 5, "fail_at": 3}, on("a"))
        with pytest.raises(StepFailed):
            await graph.ainvoke(None, on("a"))
        failed = await graph.aget_state(on("a"))
        assert (failed.values["done"], failed.next) == ([1, 2], ("step",))
        await graph.aupdate_state(on("a"), {"plan": {**failed.values["plan"], "fail_at": None}})
        assert (await graph.ainvoke(None, on("a")))["done"] == [1, 2, 3, 4, 5]

    async def test_the_next_run_is_free_of_a_failure(self) -> None:
        """A new run on a thread that failed starts at its own first step and does not fail."""
        graph = build_steps(InMemorySaver())
        with pytest.raises(StepFailed):
            await graph.ainvoke({"steps": 3, "fail_at": 2}, on("a"))
        assert (await graph.ainvoke({"steps": 2}, on("a")))["done"] == [1, 1, 2]

    async def test_each_step_is_a_checkpoint(self) -> None:
        """Every step is a superstep of its own: the history shows each list of finished steps."""
        graph = build_steps(InMemorySaver())
        await graph.ainvoke({"steps": 30, "delay_s": 0.001}, on("a"))
        history = [state.values.get("done") async for state in graph.aget_state_history(on("a"))]
        assert history[:31] == [list(range(1, n + 1)) for n in range(30, -1, -1)]

    @pytest.mark.parametrize(
        "bad",
        [{"steps": -1}, {"steps": True}, {"delay_s": -1}, {"delay_s": "1"}, {"fail_at": "2"}]
        + [{"delay_s": float(text)} for text in ("nan", "inf")],
    )
    async def test_bad_input_is_refused(self, bad: dict[str, Any]) -> None:
        """An input that means nothing fails before the first step, by the field's name."""
        with pytest.raises(InvalidInput, match=next(iter(bad))):
            await build_steps().ainvoke(bad)


class TestNested:
    """The subgraph."""

    async def test_both_states_are_kept_apart(self) -> None:
        """While it waits, the subgraph's state is seen beneath the outer one, and stays there."""
        saver = InMemorySaver()
        await build_nested(saver).ainvoke({"topic": "tea"}, on("a"))
        outer = await build_nested(saver).aget_state(on("a"), subgraphs=True)
        inner = outer.tasks[0].state
        assert inner is not None
        assert not isinstance(inner, dict)
        assert inner.next == ("choose",)
        assert inner.values["sources"] == ["tea in books", "tea in papers"]
        assert "sources" not in outer.values
        namespaces = {c.config["configurable"]["checkpoint_ns"] for c in saver.list(on("a"))}
        assert len(namespaces) == 2

    async def test_it_resumes_within_the_subgraph(self) -> None:
        """The answer reaches the subgraph's node, and findings of all runs add up outside."""
        saver = InMemorySaver()
        for topic in ("tea", "rice"):
            await build_nested(saver).ainvoke({"topic": topic}, on("a"))
            await build_nested(saver).ainvoke(Command(resume=f"{topic} book"), on("a"))
        state = (await build_nested(saver).aget_state(on("a"))).values
        assert state["findings"] == ["found: tea book", "found: rice book"]
        assert state["report"] == "rice: found: rice book"


def test_each_graph_bears_its_name() -> None:
    """Every registered builder compiles the graph of that name, on what it is given."""
    saver, store = InMemorySaver(), InMemoryStore()
    assert sorted(GRAPHS) == ["agent", "approval", "memory", "nested", "steps"]
    for name, build in GRAPHS.items():
        graph = build(checkpointer=saver, store=store)
        assert (graph.name, graph.checkpointer, graph.store) == (name, saver, store)
