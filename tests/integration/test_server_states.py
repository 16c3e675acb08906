"""State and history over HTTP, through the official client, in memory and on Postgres."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, ConflictError, UnprocessableEntityError

from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory


@pytest.fixture(scope="module")
def http(server: Serving) -> httpx.AsyncClient:
    """A plain HTTP client of the module's server."""
    return server.http()


def said(*texts: str) -> dict[str, Any]:
    """Return messages of a human."""
    return {"messages": [{"role": "user", "content": text} for text in texts]}


def texts(values: Any) -> list[str]:
    """Return the texts of the messages in values."""
    return [message["content"] for message in values["messages"]]


def id_of(state: Any) -> str:
    """Return a state's checkpoint id."""
    return str(state["checkpoint"]["checkpoint_id"])


async def a_talk(client: LangGraphClient, *turns: str) -> str:
    """Make a thread on which somebody has said something in each turn; return its id."""
    thread = await client.threads.create(graph_id="agent")
    for turn in turns:
        await client.threads.update_state(thread["thread_id"], said(turn), as_node="summarize")
    return str(thread["thread_id"])


async def a_question(client: LangGraphClient, graph: str, given: dict[str, Any]) -> str:
    """Run a graph that asks something; return the thread that waits for the answer."""
    key = str(uuid4())
    await client.runs.wait(key, graph, input=given, if_not_exists="create")
    return key


class TestState:
    """Read."""

    async def test_no_state_is_empty(self, client: LangGraphClient) -> None:
        """A thread on which nothing ran, of a graph or of none, and an unknown checkpoint."""
        bare = (await client.threads.create())["thread_id"]
        fresh = (await client.threads.create(graph_id="agent"))["thread_id"]
        talk = await a_talk(client, "one")
        for key, at in ((bare, None), (fresh, None), (bare, str(uuid4())), (talk, str(uuid4()))):
            state: Any = await client.threads.get_state(key, checkpoint_id=at)
            assert (state["values"], state["next"], state["tasks"]) == ({}, [], [])
            assert (state["checkpoint"], state["metadata"], state["created_at"]) == (None,) * 3
        for key in (bare, fresh):
            assert await client.threads.get_history(key) == []

    async def test_state_after_a_run(self, client: LangGraphClient) -> None:
        """Values, next, metadata, checkpoint and parent are those of the head."""
        key = str(uuid4())
        values: Any = await client.runs.wait(
            key, "agent", input=said("hello"), if_not_exists="create"
        )
        state: Any = await client.threads.get_state(key)
        thread: Any = await client.threads.get(key)
        assert state["values"] == values == thread["values"]
        assert (state["next"], thread["status"]) == ([], "idle")
        assert thread["checkpoint_id"] == state["checkpoint_id"] == id_of(state)
        assert state["checkpoint"] == {
            "thread_id": key,
            "checkpoint_ns": "",
            "checkpoint_id": id_of(state),
        }
        assert state["metadata"]["source"] == "loop"
        assert state["parent_checkpoint"]["thread_id"] == key
        assert state["created_at"].endswith("+00:00")

    @pytest.mark.invariant(8)
    async def test_an_interrupt_is_told(self, client: LangGraphClient) -> None:
        """Task, interrupt and next are in the state, and what is asked with the thread (8)."""
        key = await a_question(client, "approval", {"action": "tidy up"})
        state: Any = await client.threads.get_state(key)
        [task] = state["tasks"]
        [asked] = task["interrupts"]
        assert (task["name"], state["next"]) == ("ask", ["ask"])
        assert asked["value"]["action"] == "tidy up"
        assert state["interrupts"] == [asked]
        thread: Any = await client.threads.get(key)
        shown = {"id": asked["id"], "value": asked["value"]}
        assert (thread["status"], thread["interrupts"]) == (
            "interrupted",
            {task["id"]: [shown]},
        )
        await client.runs.wait(key, "approval", command={"resume": True})
        thread = await client.threads.get(key)
        assert (thread["status"], thread["interrupts"]) == ("idle", {})

    @pytest.mark.invariant(8)
    async def test_subgraphs(self, client: LangGraphClient) -> None:
        """A subgraph's state is in its task where asked for, and can be read by its checkpoint."""
        key = await a_question(client, "nested", {"topic": "tea"})
        [bare] = (await client.threads.get_state(key))["tasks"]
        assert bare["state"] is None
        assert bare["checkpoint"] is not None
        assert bare["checkpoint"]["checkpoint_ns"].startswith("research:")
        [task] = (await client.threads.get_state(key, subgraphs=True))["tasks"]
        inner: Any = task["state"]
        assert inner["values"]["sources"] == ["tea in books", "tea in papers"]
        assert inner["next"] == ["choose"]
        for place in (inner["checkpoint"], bare["checkpoint"]):
            read: Any = await client.threads.get_state(key, place)
            assert read["values"] == inner["values"]
        history = await client.threads.get_history(key, checkpoint=bare["checkpoint"])
        assert history[0]["values"] == inner["values"]
        assert len(history) == 3

    async def test_only_what_was_asked_for_is_shown(self, client: LangGraphClient) -> None:
        """Fields, and single values, of a state, of one by its checkpoint, and of a history."""
        key = await a_question(client, "approval", {"action": "tidy up"})
        select = ["next", "values.action"]
        wanted: Any = {"next": ["ask"], "values": {"action": "tidy up"}}
        state: Any = await client.threads.get_state(key)
        threads = client.threads
        assert await threads.get_state(key, select=select) == wanted
        assert await threads.get_state(key, state["checkpoint"], select=select) == wanted
        assert await threads.get_state(key, checkpoint_id=id_of(state), select=select) == wanted
        assert (await threads.get_history(key, select=select))[0] == wanted


class TestUpdate:
    """Written to."""

    async def test_as_a_node(self, client: LangGraphClient) -> None:
        """What comes next depends on who is said to have written, and the thread shows it."""
        key = (await client.threads.create(graph_id="agent"))["thread_id"]
        for node, following, status in (
            ("answer", ["summarize"], "interrupted"),
            ("summarize", [], "idle"),
        ):
            written: Any = await client.threads.update_state(key, said(node), as_node=node)
            state: Any = await client.threads.get_state(key)
            thread: Any = await client.threads.get(key)
            assert state["next"] == following
            assert state["checkpoint"] == written["checkpoint"]
            assert (thread["status"], thread["values"]) == (status, state["values"])
            assert thread["checkpoint_id"] == written["checkpoint"]["checkpoint_id"]
            assert thread["state_updated_at"] == thread["updated_at"] > thread["created_at"]
        assert texts(state["values"]) == ["answer", "summarize"]

    async def test_null_and_unknown_keys(self, client: LangGraphClient) -> None:
        """Either makes a checkpoint, and changes no value."""
        key = await a_talk(client, "one")
        before: Any = await client.threads.get_state(key)
        for values in (None, {"nonsense": 1}):
            await client.threads.update_state(key, values)
            state: Any = await client.threads.get_state(key)
            assert state["values"] == before["values"]
            assert id_of(state) > id_of(before)

    async def test_refusals(self, client: LangGraphClient) -> None:
        """No graph, an unknown node, values that are a list or no messages: 400, and nothing."""
        bare = (await client.threads.create())["thread_id"]
        key = await a_talk(client, "one")
        before = await client.threads.get(key), await client.threads.get_history(key)
        update = client.threads.update_state
        for call in (
            update(bare, said("two")),
            update(key, said("two"), as_node="nobody"),
            update(key, [said("two")]),
            update(key, {"messages": [{"content": "of nobody"}]}),
        ):
            with pytest.raises(BadRequestError):
                await call
        with pytest.raises(UnprocessableEntityError):
            await update(key, said("\0"))
        assert (await client.threads.get(key), await client.threads.get_history(key)) == before

    async def test_a_busy_thread(self, client: LangGraphClient) -> None:
        """While a run is at it nobody else writes: 409."""
        key = (await client.threads.create())["thread_id"]
        run = await client.runs.create(key, "steps", input={"steps": 1_000, "delay_s": 0.01})
        with pytest.raises(ConflictError):
            await client.threads.update_state(key, {"step": 7})
        await client.runs.cancel(key, run["run_id"], wait=True)
        await client.threads.update_state(key, {"step": 7}, as_node="step")
        state: Any = await client.threads.get_state(key)
        assert state["values"]["step"] == 7

    @pytest.mark.invariant(39)
    async def test_concurrent_updates_lose_nothing(self, client: LangGraphClient) -> None:
        """Twenty at once are twenty checkpoints in a row, and twenty messages (invariant 39)."""
        key = await a_talk(client, "first")
        await asyncio.gather(
            *(client.threads.update_state(key, said(str(number))) for number in range(20))
        )
        history: Any = await client.threads.get_history(key, limit=100)
        assert sorted(texts(history[0]["values"])[1:], key=int) == [str(n) for n in range(20)]
        assert len(history) == 21
        parents = [state["parent_checkpoint"] for state in history]
        assert parents == [*(state["checkpoint"] for state in history[1:]), None]
        thread: Any = await client.threads.get(key)
        assert thread["values"] == history[0]["values"]

    @pytest.mark.parametrize("by", ["checkpoint", "checkpoint_id"])
    async def test_fork(self, client: LangGraphClient, by: str) -> None:
        """An update of an older state is the thread's head, and the older ones stay."""
        key = await a_talk(client, "one", "two")
        older: Any = (await client.threads.get_history(key))[1]
        place: dict[str, Any] = {"checkpoint": older["checkpoint"], "checkpoint_id": id_of(older)}
        await client.threads.update_state(key, said("other"), **{by: place[by]})
        state: Any = await client.threads.get_state(key)
        assert texts(state["values"]) == ["one", "other"]
        assert state["parent_checkpoint"] == older["checkpoint"]
        thread: Any = await client.threads.get(key)
        assert thread["values"] == state["values"]
        history: Any = await client.threads.get_history(key)
        assert [texts(one["values"]) for one in history] == [
            ["one", "other"],
            ["one", "two"],
            ["one"],
        ]


class TestHistory:
    """States, newest first."""

    @pytest.mark.invariant(2, 4)
    async def test_each_entry_is_the_state_of_then(self, client: LangGraphClient) -> None:
        """Values, ids and parents; read by id each is the same (invariants 2 and 4)."""
        key = await a_talk(client, "one", "two", "three")
        history: Any = await client.threads.get_history(key)
        said_by_then = [["one", "two", "three"], ["one", "two"], ["one"]]
        assert [texts(state["values"]) for state in history] == said_by_then
        parents = [state["parent_checkpoint"] for state in history]
        assert parents == [*(state["checkpoint"] for state in history[1:]), None]
        assert history[0] == await client.threads.get_state(key)
        for state in history:
            assert await client.threads.get_state(key, checkpoint_id=id_of(state)) == state
            assert await client.threads.get_state(key, state["checkpoint"]) == state
        assert await client.threads.get_history(key) == history

    @pytest.mark.invariant(5)
    async def test_get_and_post_agree(
        self, client: LangGraphClient, http: httpx.AsyncClient
    ) -> None:
        """With a limit and before a state, given as id, checkpoint or config (invariant 5)."""
        key = await a_talk(client, *(str(number) for number in range(12)))
        everything: Any = await client.threads.get_history(key, limit=1_000)
        path = f"/threads/{key}/history"
        assert len(everything) == 12
        assert (await http.get(path)).json() == everything[:10]
        assert (await http.post(path, json={})).json() == everything[:10]
        for limit, skipped in ((1, 1), (3, 4), (1_000, 11), (5, 12)):
            before = everything[skipped - 1]["checkpoint"]
            wanted = everything[skipped : skipped + limit]
            query = {"limit": limit, "before": before["checkpoint_id"]}
            assert (await http.get(path, params=query)).json() == wanted
            for form in (before["checkpoint_id"], before, {"configurable": before}):
                answer = await http.post(path, json={"limit": limit, "before": form})
                assert answer.json() == wanted
            assert await client.threads.get_history(key, limit=limit, before=before) == wanted

    @pytest.mark.invariant(5)
    async def test_nothing_comes_before_an_unknown_state(
        self, client: LangGraphClient, http: httpx.AsyncClient
    ) -> None:
        """Whatever its id would sort after, by GET and by POST; what is no id is 422."""
        key, other = await a_talk(client, "one"), await a_talk(client, "two")
        [foreign] = await client.threads.get_history(other)
        path = f"/threads/{key}/history"
        for unknown in (str(uuid4()), "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12, id_of(foreign)):
            assert (await http.get(path, params={"before": unknown})).json() == []
            assert (await http.post(path, json={"before": unknown})).json() == []
        assert (await http.get(path, params={"before": "abc"})).status_code == 422
        for nonsense in ("abc", 7, {"checkpoint_id": "abc"}, {"configurable": 1}):
            assert (await http.post(path, json={"before": nonsense})).status_code == 422

    async def test_metadata_filter(self, client: LangGraphClient) -> None:
        """It is contained in a state's metadata, with its types, and comes before the limit."""
        key = str(uuid4())
        red: Any = {"colour": "red", "n": 1}
        for given in (red, {"colour": "blue", "n": True}):
            await client.runs.wait(
                key, "agent", input=said("hi"), metadata=given, if_not_exists="create"
            )
        history = client.threads.get_history
        everything: Any = await history(key, limit=100)
        found = [one for one in everything if one["metadata"]["colour"] == "red"]
        assert 0 < len(found) < len(everything)
        assert await history(key, limit=100, metadata=red) == found
        assert await history(key, limit=1, metadata={"n": 1}) == found[:1]
        assert await history(key, metadata={"n": "1"}) == []
        assert await history(key, metadata={"nothing": None}) == []
        loops = [one for one in found if one["metadata"]["source"] == "loop"]
        assert await history(key, metadata={**red, "parents": {}, "source": "loop"}) == loops
