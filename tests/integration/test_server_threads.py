"""Threads over HTTP, through the official client, in memory and on Postgres; two owners."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)

from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS


@pytest.fixture(scope="module")
def http(server: Serving) -> httpx.AsyncClient:
    """The first owner's plain HTTP client."""
    return server.http(token_of("alice"))


def said(*texts: str) -> dict[str, Any]:
    """Return messages of a human."""
    return {"messages": [{"role": "user", "content": text} for text in texts]}


def texts(values: Any) -> list[str]:
    """Return the texts of the messages in values."""
    return [message["content"] for message in values["messages"]]


async def a_talk(client: LangGraphClient, *turns: str, **metadata: Any) -> str:
    """Make a thread on which somebody has said something in each turn; return its id."""
    thread = await client.threads.create(graph_id="agent", metadata=metadata)
    for turn in turns:
        await client.threads.update_state(thread["thread_id"], said(turn), as_node="summarize")
    return str(thread["thread_id"])


async def copied_by(client: LangGraphClient, key: str) -> Any:
    """Copy a thread; the client's type says that this returns nothing."""
    copy: Any = client.threads.copy
    return await copy(key)


class TestThreads:
    """Created, read, changed, deleted."""

    async def test_a_fresh_thread(self, alice: LangGraphClient) -> None:
        """It is idle, has no values, and names its owner."""
        made: Any = await alice.threads.create(metadata={"colour": "red"})
        assert made["metadata"] == {"colour": "red", "owner": "alice"}
        assert (made["status"], made["values"], made["config"]) == ("idle", None, {})
        assert (made["interrupts"], made["error"]) == ({}, None)
        assert made["created_at"] == made["updated_at"] == made["state_updated_at"]
        assert made["created_at"].endswith("+00:00")
        assert await alice.threads.get(made["thread_id"]) == made

    @pytest.mark.invariant(10, 11)
    async def test_ids_are_the_callers(self, alice: LangGraphClient, bob: LangGraphClient) -> None:
        """An id is honoured, and taken afterwards, for everybody (invariants 10 and 11)."""
        thread_id = str(uuid4())
        made = await alice.threads.create(thread_id=thread_id, metadata={"n": 1})
        assert made["thread_id"] == thread_id
        again = await alice.threads.create(thread_id=thread_id, if_exists="do_nothing")
        assert again == made
        with pytest.raises(ConflictError):
            await alice.threads.create(thread_id=thread_id)
        for if_exists in ("raise", "do_nothing"):
            with pytest.raises(ConflictError):
                await bob.threads.create(thread_id=thread_id, if_exists=if_exists)
        assert await alice.threads.get(thread_id) == made

    @pytest.mark.invariant(12)
    async def test_metadata_merges(self, alice: LangGraphClient) -> None:
        """Shallowly; null stays, what is nested is replaced, and so is no owner (invariant 12)."""
        thread = await alice.threads.create(metadata={"a": {"b": 1}, "c": 1})
        key = thread["thread_id"]
        changed = await alice.threads.update(key, metadata={"a": {"d": 2}, "c": None})
        assert changed["metadata"] == {"a": {"d": 2}, "c": None, "owner": "alice"}
        update: Any = alice.threads.update
        assert await update(key, metadata={"e": 5}, return_minimal=True) is None
        with pytest.raises(UnprocessableEntityError):
            await alice.threads.update(key, metadata={"owner": "bob"})
        found = await alice.threads.get(key)
        assert found["metadata"] == {"a": {"d": 2}, "c": None, "e": 5, "owner": "alice"}

    @pytest.mark.invariant(39)
    async def test_concurrent_changes_lose_nothing(self, alice: LangGraphClient) -> None:
        """Twenty keys at once are twenty keys (invariant 39)."""
        key = (await alice.threads.create())["thread_id"]
        await asyncio.gather(*(alice.threads.update(key, metadata={f"k{n}": n}) for n in range(20)))
        metadata: Any = (await alice.threads.get(key))["metadata"]
        assert metadata == {"owner": "alice", **{f"k{n}": n for n in range(20)}}

    @pytest.mark.invariant(38)
    async def test_deletion_leaves_nothing(self, alice: LangGraphClient) -> None:
        """State, history and runs are gone, and a reused id starts empty (invariant 38)."""
        key = await a_talk(alice, "one", "two")
        await alice.runs.wait(key, "agent", input=said("three"))
        await alice.threads.delete(key)
        for gone in (alice.threads.get(key), alice.threads.get_state(key), alice.runs.list(key)):
            with pytest.raises(NotFoundError):
                await gone
        await alice.threads.create(thread_id=key, graph_id="agent")
        state: Any = await alice.threads.get_state(key)
        assert (state["values"], state["checkpoint"]) == ({}, None)
        assert await alice.threads.get_history(key) == []
        assert await alice.runs.list(key) == []

    @pytest.mark.invariant(38)
    async def test_deletion_of_a_busy_thread(self, alice: LangGraphClient) -> None:
        """What is executed there is stopped, and leaves nothing either (invariant 38)."""
        key = (await alice.threads.create())["thread_id"]
        slow = {"steps": 1_000, "delay_s": 0.01}
        async for part in alice.runs.stream(key, "steps", input=slow, stream_mode="updates"):
            if part.event == "updates":
                await alice.threads.delete(key)
                break
        await alice.threads.create(thread_id=key, graph_id="steps")
        assert await alice.threads.get_history(key) == []

    async def test_supersteps(self, alice: LangGraphClient) -> None:
        """A thread can be made with a history; one whose history is refused is not made."""
        steps: Any = [
            {"updates": [{"values": said("one"), "as_node": "answer"}]},
            {"updates": [{"values": said("two"), "as_node": "summarize"}]},
        ]
        made: Any = await alice.threads.create(graph_id="agent", supersteps=steps)
        assert texts(made["values"]) == ["one", "two"]
        assert len(await alice.threads.get_history(made["thread_id"])) == 2
        key = str(uuid4())
        steps[1]["updates"][0]["as_node"] = "nobody"
        for given in ({"graph_id": "agent"}, {}):
            with pytest.raises(BadRequestError):
                await alice.threads.create(thread_id=key, supersteps=steps, **given)  # type: ignore[arg-type]  # they are texts
        with pytest.raises(NotFoundError):
            await alice.threads.get(key)

    @pytest.mark.invariant(19)
    async def test_percent_encoding(self, alice: LangGraphClient, http: httpx.AsyncClient) -> None:
        """Paths and queries mean what they decode to (invariant 19)."""
        key = await a_talk(alice, "one")
        encoded = key.replace("-", "%2D").upper()
        assert (await http.get(f"/threads/{encoded}")).json() == await alice.threads.get(key)
        state = await http.get(f"/threads/{encoded}/state?select=values%2Emessages")
        assert texts(state.json()["values"]) == ["one"]

    async def test_nonsense_is_told(self, http: httpx.AsyncClient) -> None:
        """What cannot be is 404, 409 or 422 with one line, as the official server answers."""
        key = str(uuid4())
        answers = {
            ("GET", "/threads/abc"): 422,
            ("GET", f"/threads/{key}"): 404,
            ("PATCH", f"/threads/{key}"): 404,
            ("DELETE", f"/threads/{key}"): 404,
            ("POST", f"/threads/{key}/copy"): 409,
            ("POST", "/threads/abc/copy"): 400,
            ("POST", f"/threads/{key}/state"): 404,
            ("GET", f"/threads/{key}/state/abc"): 422,
            ("GET", f"/threads/{key}/history?limit=0"): 422,
            ("GET", f"/threads/{key}/history?limit=ten"): 422,
            ("POST", f"/threads/{key}/history"): 404,
        }
        for (method, path), status in answers.items():
            answer = await http.request(method, path, json=None if method == "GET" else {})
            assert (answer.status_code, list(answer.json())) == (status, ["detail"]), path
        bodies: list[tuple[str, Any]] = [
            ("/threads", {"thread_id": "abc"}),
            ("/threads", {"metadata": {"a": "\0"}}),
            ("/threads", {"metadata": [1]}),
            ("/threads", {"if_exists": "maybe"}),
            ("/threads/search", {"limit": 0}),
            ("/threads/search", {"limit": 1_001}),
            ("/threads/search", {"status": "asleep"}),
            ("/threads/search", {"sort_by": "owner"}),
            ("/threads/search", {"select": ["owner"]}),
            ("/threads/search", {"extract": {"x": "values..a"}}),
            ("/threads/search", {"ids": ["abc"]}),
            ("/threads/prune", {"thread_ids": ["abc"]}),
            ("/threads/prune", {"thread_ids": [], "strategy": "some"}),
        ]
        for path, body in bodies:
            answer = await http.post(path, json=body)
            assert (answer.status_code, list(answer.json())) == (422, ["detail"]), body
        for raw in (b"", b"{"):
            assert (await http.post("/threads", content=raw)).status_code == 422


class TestSearch:
    """Found by what they hold."""

    async def test_conditions(self, alice: LangGraphClient) -> None:
        """Values, metadata, ids and status each restrict, beside threads without values."""
        mark = str(uuid4())
        bare = (await alice.threads.create(metadata={"mark": mark}))["thread_id"]
        talk = await a_talk(alice, "needle " + mark, mark=mark)
        asked = (await alice.threads.create(graph_id="approval", metadata={"mark": mark}))[
            "thread_id"
        ]
        await alice.threads.update_state(asked, {"action": mark}, as_node="propose")
        search, marked = alice.threads.search, {"mark": mark}

        def found(rows: Any) -> list[str]:
            return [row["thread_id"] for row in rows]

        assert found(await search(metadata=marked)) == [asked, talk, bare]
        assert found(await search(values={"action": mark})) == [asked]
        needle = {"messages": [{"content": "needle " + mark}]}
        assert found(await search(values=needle)) == [talk]
        assert found(await search(metadata=marked, ids=[bare, talk])) == [talk, bare]
        assert found(await search(metadata=marked, status="interrupted")) == [asked]
        assert found(await search(metadata=marked, status="idle")) == [talk, bare]
        ordered = await search(metadata=marked, sort_by="created_at", sort_order="asc", limit=2)
        assert found(ordered) == [bare, talk]
        assert await alice.threads.count(metadata=marked) == 3
        assert await alice.threads.count(values={"action": mark}, status="interrupted") == 1

    async def test_only_what_was_asked_for_is_shown(self, alice: LangGraphClient) -> None:
        """Fields are selected, and parts of the state extracted under names of the caller's."""
        talk = await a_talk(alice, "one", "two")
        row: Any
        [row] = await alice.threads.search(
            ids=[talk],
            select=["thread_id", "status"],
            extract={"last": "values.messages[-1].content", "none": "values.messages[7]"},
        )
        assert row == {
            "thread_id": talk,
            "status": "idle",
            "extracted": {"last": "two", "none": None},
        }

    async def test_pages_tell_the_true_total(
        self, alice: LangGraphClient, http: httpx.AsyncClient
    ) -> None:
        """X-Pagination-Total is how many there are; -Next is there as long as there are more."""
        marked = {"page": str(uuid4())}
        made = [(await alice.threads.create(metadata=marked))["thread_id"] for _ in range(7)]
        seen: list[str] = []
        while True:
            body = {"metadata": marked, "limit": 3, "offset": len(seen)}
            answer = await http.post("/threads/search", json=body)
            seen += [row["thread_id"] for row in answer.json()]
            assert answer.headers["x-pagination-total"] == "7"
            if "x-pagination-next" not in answer.headers:
                break
            assert answer.headers["x-pagination-next"] == str(len(seen))
        assert seen == made[::-1]
        answer = await http.post("/threads/search", json={"metadata": marked, "offset": 500})
        assert (answer.json(), answer.headers["x-pagination-total"]) == ([], "7")


class TestCopies:
    """Copied with their history, and pruned."""

    async def test_copy(self, alice: LangGraphClient) -> None:
        """A copy has the state and the checkpoints, and goes its own way from there."""
        key = await a_talk(alice, "one", "two", colour="red")
        copy = await copied_by(alice, key)
        assert copy["thread_id"] != key
        assert copy["metadata"] == {"colour": "red", "graph_id": "agent", "owner": "alice"}
        original, copied = [
            await alice.threads.get_history(one) for one in (key, copy["thread_id"])
        ]
        assert [state["values"] for state in copied] == [state["values"] for state in original]
        assert [state["checkpoint"]["checkpoint_id"] for state in copied] == [
            state["checkpoint"]["checkpoint_id"] for state in original
        ]
        assert copied[0]["checkpoint"]["thread_id"] == copy["thread_id"]
        await alice.threads.update_state(copy["thread_id"], said("three"))
        values: Any = (await alice.threads.get_state(key))["values"]
        assert texts(values) == ["one", "two"]
        await alice.threads.delete(key)
        values = (await alice.threads.get_state(copy["thread_id"]))["values"]
        assert texts(values) == ["one", "two", "three"]

    async def test_a_copy_can_be_answered(self, alice: LangGraphClient) -> None:
        """What waits for an answer waits in the copy too, subgraph and all."""
        key = str(uuid4())
        await alice.runs.wait(key, "nested", input={"topic": "tea"}, if_not_exists="create")
        copy = await copied_by(alice, key)
        assert copy["status"] == "interrupted"
        done: Any = await alice.runs.wait(
            copy["thread_id"], "nested", command={"resume": "tea in books"}
        )
        assert done["report"] == "tea: found: tea in books"
        state = await alice.threads.get_state(key)
        assert state["next"] == ["research"]

    async def test_a_copy_of_a_thread_in_use(self, alice: LangGraphClient) -> None:
        """It shows where the run was when it was copied; the original goes, run and all."""
        key = str(uuid4())
        run = await alice.runs.create(
            key, "steps", input={"steps": 1_000, "delay_s": 0.02}, if_not_exists="create"
        )
        async for part in alice.runs.join_stream(key, run["run_id"]):
            if part.data.get("step") == 2:
                break
        copy = await copied_by(alice, key)
        assert await alice.threads.prune([key]) == {"pruned_count": 1}
        assert (copy["status"], len(copy["values"]["done"]) >= 1) == ("interrupted", True)
        state: Any = await alice.threads.get_state(copy["thread_id"])
        assert copy == await alice.threads.get(copy["thread_id"])
        assert copy["checkpoint_id"] == state["checkpoint"]["checkpoint_id"]
        assert (copy["values"], state["next"]) == (state["values"], ["step"])
        reused = await alice.threads.create(thread_id=key)
        assert (reused["status"], reused["values"]) == ("idle", None)
        assert await alice.threads.get_history(key) == []

    async def test_prune(self, alice: LangGraphClient, bob: LangGraphClient) -> None:
        """Threads go, or all of their history but the head; others' stay."""
        mine = [await a_talk(alice, "one", "two", "three") for _ in range(2)]
        his = await a_talk(bob, "one", "two")
        given = [*mine, his, str(uuid4())]
        kept = await alice.threads.prune(given, strategy="keep_latest")
        assert kept == {"pruned_count": 2}
        for key in mine:
            [state] = await alice.threads.get_history(key)
            values: Any = state["values"]
            assert texts(values) == ["one", "two", "three"]
        assert await alice.threads.prune(given) == {"pruned_count": 2}
        assert len(await bob.threads.get_history(his)) == 2
        for key in mine:
            with pytest.raises(NotFoundError):
                await alice.threads.get(key)


@pytest.mark.invariant(6)
@pytest.mark.parametrize("graph", ["agent", None])
async def test_another_owner_sees_nothing(
    alice: LangGraphClient, bob: LangGraphClient, graph: str | None
) -> None:
    """Neither threads nor states nor histories are read or written by others (invariant 6)."""
    key = await a_talk(alice, "one") if graph else (await alice.threads.create())["thread_id"]
    before = await alice.threads.get(key), await alice.threads.get_history(key)
    checkpoint_id = str(uuid4())
    for _, head in zip(range(1), before[1], strict=False):
        checkpoint_id = head["checkpoint"]["checkpoint_id"] or checkpoint_id
    own = await a_talk(bob, "own")
    there: Any = {"thread_id": key, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}
    threads = bob.threads
    for call in (
        threads.get(key),
        threads.update(key, metadata={"n": 1}),
        threads.delete(key),
        threads.get_state(key),
        threads.get_state(key, checkpoint_id=checkpoint_id),
        threads.get_state(key, there),
        threads.update_state(key, said("two")),
        threads.get_history(key),
        threads.get_history(key, before=checkpoint_id),
    ):
        with pytest.raises(NotFoundError):
            await call
    with pytest.raises(ConflictError):
        await threads.copy(key)
    assert await threads.search(ids=[key]) == []
    assert await threads.prune([key]) == {"pruned_count": 0}
    # A checkpoint that names another's thread is looked for on one's own.
    assert (await threads.get_state(own, there))["values"] == {}
    assert await threads.get_history(own, before=there) == []
    with pytest.raises(NotFoundError):
        await threads.update_state(own, said("two"), checkpoint=there)
    assert (await alice.threads.get(key), await alice.threads.get_history(key)) == before
