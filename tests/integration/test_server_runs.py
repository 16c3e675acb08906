"""Runs over HTTP, through the official client: what becomes of each, in memory and on Postgres."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)

from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)


def said(*texts: str) -> dict[str, Any]:
    """Return an input of messages."""
    return {"messages": [{"role": "user", "content": text} for text in texts]}


def texts(values: Any) -> list[str]:
    """Return the texts of the messages in values."""
    return [message["content"] for message in values["messages"]]


def humans(values: Any) -> list[str]:
    """Return what the human said."""
    return [m["content"] for m in values["messages"] if m["type"] == "human"]


async def wait(client: LangGraphClient, thread_id: str | None, graph: str, **more: Any) -> Any:
    """Run a graph and return the values that it leaves."""
    return await client.runs.wait(thread_id, graph, **more)


async def run_on_new(client: LangGraphClient, graph: str, given: Any, **more: Any) -> Any:
    """Create a run on a new thread; return it."""
    return await client.runs.create(
        str(uuid4()), graph, input=given, if_not_exists="create", **more
    )


async def until(client: LangGraphClient, run: Any, *statuses: str) -> Any:
    """Wait until a run has one of the statuses; return it."""
    while True:
        found = await client.runs.get(run["thread_id"], run["run_id"])
        if found["status"] in statuses:
            return found
        await asyncio.sleep(0.02)


async def begun(client: LangGraphClient, run: Any) -> None:
    """Wait until a run of `steps` has finished a step."""
    async for part in client.runs.join_stream(run["thread_id"], run["run_id"]):
        if part.event == "values" and part.data.get("step", 0) > 0:
            return


SLOW = {"steps": 1_000, "delay_s": 0.05}


class TestConversations:
    """Threads remember, in memory too."""

    @pytest.mark.invariant(1, 7)
    async def test_every_turn_is_there(self, client: LangGraphClient) -> None:
        """After n turns the values hold 2n messages, in order (invariants 1 and 7)."""
        thread_id = str(uuid4())
        for turn in range(4):
            values = await wait(
                client, thread_id, "agent", input=said(f"turn {turn}"), if_not_exists="create"
            )
        assert humans(values) == [f"turn {turn}" for turn in range(4)]
        assert [m["type"] for m in values["messages"]] == ["human", "ai"] * 4

    @pytest.mark.invariant(3)
    async def test_a_run_begins_with_what_was_before(self, client: LangGraphClient) -> None:
        """The first values event holds the state before the run, and its input (invariant 3)."""
        thread_id = str(uuid4())
        before = await wait(client, thread_id, "agent", input=said("first"), if_not_exists="create")
        parts = [p async for p in client.runs.stream(thread_id, "agent", input=said("second"))]
        assert [p.event for p in parts][:2] == ["metadata", "values"]
        assert texts(parts[1].data) == [*texts(before), "second"]

    @pytest.mark.invariant(8)
    async def test_a_human_answers_an_interrupt(self, client: LangGraphClient) -> None:
        """A run that asks ends as success; the answer goes on where it stopped (invariant 8)."""
        thread_id = str(uuid4())
        asked = await wait(
            client, thread_id, "approval", input={"action": "tidy up"}, if_not_exists="create"
        )
        assert asked["__interrupt__"][0]["value"]["action"] == "tidy up"
        [run] = await client.runs.list(thread_id)
        assert run["status"] == "success"
        done = await wait(client, thread_id, "approval", command={"resume": True})
        assert done["log"] == ["proposed tidy up", "did tidy up"]
        assert "__interrupt__" not in done

    async def test_commands_update_and_go_elsewhere(self, client: LangGraphClient) -> None:
        """A command's update and goto reach the graph."""
        values = await wait(
            client,
            str(uuid4()),
            "approval",
            command={"update": {"action": "sweep", "approved": True}, "goto": "act"},
            if_not_exists="create",
        )
        assert "did sweep" in values["log"]

    async def test_a_run_can_stop_before_a_node(self, client: LangGraphClient) -> None:
        """interrupt_before stops there, and an empty run goes on."""
        thread_id = str(uuid4())
        stopped = await wait(
            client,
            thread_id,
            "agent",
            input=said("hello"),
            interrupt_before=["summarize"],
            if_not_exists="create",
        )
        assert "summary" not in stopped
        assert "summary" in await wait(client, thread_id, "agent")

    async def test_time_travel(self, client: LangGraphClient) -> None:
        """A run from an earlier checkpoint does not know what came after it."""
        thread_id = str(uuid4())
        for turn in range(2):
            parts = [
                part
                async for part in client.runs.stream(
                    thread_id,
                    "agent",
                    input=said(f"turn {turn}"),
                    stream_mode="checkpoints",
                    if_not_exists="create",
                )
            ]
            if turn == 0:
                head = parts[-1].data["config"]["configurable"]["checkpoint_id"]
        values = await wait(client, thread_id, "agent", input=said("instead"), checkpoint_id=head)
        assert humans(values) == ["turn 0", "instead"]

    async def test_config_reaches_the_graph(self, client: LangGraphClient) -> None:
        """What configurable and context say is the same, so giving both is refused."""
        for given in (
            {"config": {"configurable": {"user_id": "ada"}}},
            {"context": {"user_id": "ada"}},
        ):
            values = await wait(
                client,
                str(uuid4()),
                "memory",
                input=said("Remember that tea is hot.", "What do you know?"),
                if_not_exists="create",
                **given,
            )
            assert len(values["messages"]) == 3
        with pytest.raises(BadRequestError):
            await run_on_new(
                client, "agent", said("x"), config={"configurable": {"a": 1}}, context={"b": 2}
            )


@pytest.mark.slow_in_memory
class TestEndings:
    """Every run reaches a terminal state, and none keeps its thread."""

    @pytest.mark.invariant(24)
    async def test_a_failed_run_is_an_error_and_the_next_works(
        self, client: LangGraphClient
    ) -> None:
        """The wait tells what was raised, the run is `error`, the thread free (invariant 24)."""
        thread_id = str(uuid4())
        told = await wait(
            client,
            thread_id,
            "steps",
            input={"steps": 3, "fail_at": 2},
            if_not_exists="create",
            raise_error=False,
        )
        assert told["__error__"]["error"] == "StepFailed"
        [run] = await client.runs.list(thread_id)
        assert run["status"] == "error"
        told = await client.runs.join(thread_id, run["run_id"])
        assert told["__error__"]["error"] == "StepFailed"
        values = await wait(
            client, thread_id, "steps", input={"steps": 2}, multitask_strategy="reject"
        )
        assert values["step"] == 2

    @pytest.mark.invariant(25)
    async def test_background_runs_end(self, client: LangGraphClient) -> None:
        """More runs at once than are executed at once all end (invariant 25)."""
        runs = await asyncio.gather(
            *(run_on_new(client, "steps", {"steps": 2, "delay_s": 0.01}) for _ in range(40))
        )
        ended = [await until(client, run, "success", "error") for run in runs]
        assert {run["status"] for run in ended} == {"success"}

    @pytest.mark.invariant(26)
    async def test_cancel_stops_for_ever(self, client: LangGraphClient) -> None:
        """A cancelled run stops, is `interrupted`, and stays so (invariant 26)."""
        run = await run_on_new(client, "steps", SLOW)
        await begun(client, run)
        await client.runs.cancel(run["thread_id"], run["run_id"], wait=True)
        assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "interrupted"
        first = await wait(client, run["thread_id"], "steps", input={"steps": 0})
        again = await wait(client, run["thread_id"], "steps", input={"steps": 0})
        assert 0 < len(first["done"]) == len(again["done"]) < SLOW["steps"]
        assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "interrupted"
        with pytest.raises(NotFoundError):
            await client.runs.cancel(run["thread_id"], run["run_id"])

    async def test_cancel_of_a_pending_run(self, client: LangGraphClient) -> None:
        """It never begins; one that there is not cannot be cancelled."""
        run = await run_on_new(client, "steps", {}, after_seconds=3_600)
        await client.runs.cancel(run["thread_id"], run["run_id"])
        assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "interrupted"
        with pytest.raises(NotFoundError):
            await client.runs.cancel(run["thread_id"], str(uuid4()))

    async def test_cancel_with_rollback(self, client: LangGraphClient) -> None:
        """The run is gone, with what it did."""
        thread_id = str(uuid4())
        await wait(client, thread_id, "steps", input={"steps": 2}, if_not_exists="create")
        run = await client.runs.create(thread_id, "steps", input=SLOW)
        await begun(client, run)
        await client.runs.cancel(thread_id, run["run_id"], wait=True, action="rollback")
        with pytest.raises(NotFoundError):
            await client.runs.get(thread_id, run["run_id"])
        values = await wait(client, thread_id, "steps", input={"steps": 1})
        assert values["done"] == [1, 2, 1]

    async def test_cancel_many(self, client: LangGraphClient) -> None:
        """Runs are cancelled by their ids, or all of a thread by status."""
        run = await run_on_new(client, "steps", SLOW)
        thread_id = run["thread_id"]
        others = [await client.runs.create(thread_id, "steps", input={}) for _ in range(2)]
        await client.runs.cancel_many(thread_id=thread_id, run_ids=[others[0]["run_id"]])
        await client.runs.cancel_many(thread_id=thread_id, status="all")
        for each in (run, *others):
            await until(client, each, "interrupted")

    async def test_deleting_a_running_run_stops_it(self, client: LangGraphClient) -> None:
        """It is gone, what it did too, and the thread is free."""
        run = await run_on_new(client, "steps", SLOW)
        await begun(client, run)
        await client.runs.delete(run["thread_id"], run["run_id"])
        assert await client.runs.list(run["thread_id"]) == []
        values = await wait(
            client, run["thread_id"], "steps", input={"steps": 1}, multitask_strategy="reject"
        )
        assert values["done"] == [1]

    async def test_deleting_a_run_that_has_ended(self, client: LangGraphClient) -> None:
        """Its checkpoints go with it: a thread of one run is empty again."""
        run = await run_on_new(client, "agent", said("forget me"))
        await client.runs.join(run["thread_id"], run["run_id"])
        await client.runs.delete(run["thread_id"], run["run_id"])
        values = await wait(client, run["thread_id"], "agent", input=said("hello"))
        assert humans(values) == ["hello"]

    async def test_an_answer_is_taken_back_with_its_run(self, client: LangGraphClient) -> None:
        """An interrupt that a deleted run had answered waits again."""
        thread_id = str(uuid4())
        await wait(client, thread_id, "approval", input={"action": "jump"}, if_not_exists="create")
        await wait(client, thread_id, "approval", command={"resume": False})
        [answer, _] = await client.runs.list(thread_id)
        await client.runs.delete(thread_id, answer["run_id"])
        values = await wait(client, thread_id, "approval", command={"resume": True})
        assert values["log"] == ["proposed jump", "did jump"]

    async def test_a_later_run(self, client: LangGraphClient) -> None:
        """after_seconds: it waits, lets others by, and then runs."""
        run = await run_on_new(client, "steps", {"steps": 1}, after_seconds=1)
        now = await wait(client, run["thread_id"], "steps", input={"steps": 2})
        assert now["done"] == [1, 2]
        later = await client.runs.join(run["thread_id"], run["run_id"])
        assert later["done"] == [1, 2, 1]


@pytest.mark.slow_in_memory
class TestManyOnOneThread:
    """What happens to a run on a thread that is busy."""

    @pytest.mark.invariant(27)
    async def test_of_concurrent_rejects_one_wins(self, client: LangGraphClient) -> None:
        """The others are conflicts, whatever the timing (invariant 27)."""
        slow = await run_on_new(client, "steps", {})
        thread_id = slow["thread_id"]
        await client.runs.join(thread_id, slow["run_id"])
        answers = await asyncio.gather(
            *(
                client.runs.create(
                    thread_id,
                    "steps",
                    input={"steps": 5, "delay_s": 0.1},
                    multitask_strategy="reject",
                )
                for _ in range(12)
            ),
            return_exceptions=True,
        )
        won = [answer for answer in answers if isinstance(answer, dict)]
        assert len(won) == 1
        assert all(isinstance(a, ConflictError) for a in answers if a is not won[0])
        await client.runs.join(thread_id, won[0]["run_id"])

    async def test_enqueued_runs_are_executed_in_order(self, client: LangGraphClient) -> None:
        """First in, first out, one at a time."""
        thread_id = str(uuid4())
        for number in range(6):
            run = await client.runs.create(
                thread_id, "agent", input=said(f"number {number}"), if_not_exists="create"
            )
        values = await client.runs.join(thread_id, run["run_id"])
        assert humans(values) == [f"number {number}" for number in range(6)]

    async def test_interrupt(self, client: LangGraphClient) -> None:
        """The run before is interrupted, what it did stays, and the new one succeeds."""
        run = await run_on_new(client, "steps", SLOW)
        await begun(client, run)
        values = await wait(
            client, run["thread_id"], "steps", input={"steps": 1}, multitask_strategy="interrupt"
        )
        assert values["done"][:1] == [1]
        assert values["done"][-1] == 1
        assert len(values["done"]) > 1
        assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "interrupted"

    async def test_rollback(self, client: LangGraphClient) -> None:
        """The run before is gone, with what it did; so is one that only waited."""
        run = await run_on_new(client, "steps", SLOW)
        await begun(client, run)
        waiting = await client.runs.create(run["thread_id"], "steps", input={"steps": 3})
        values = await wait(
            client, run["thread_id"], "steps", input={"steps": 1}, multitask_strategy="rollback"
        )
        assert values["done"] == [1]
        for gone in (run, waiting):
            with pytest.raises(NotFoundError):
                await client.runs.get(gone["thread_id"], gone["run_id"])


class TestStateless:
    """Runs on a thread of their own."""

    async def test_the_thread_goes_with_the_run(self, client: LangGraphClient) -> None:
        """It is there while it runs, and gone afterwards."""
        run = await client.runs.create(None, "steps", input={"steps": 5, "delay_s": 0.05})
        assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] in (
            "pending",
            "running",
        )
        assert "done" in await client.runs.join(run["thread_id"], run["run_id"])
        with pytest.raises(NotFoundError):
            await client.runs.list(run["thread_id"])

    async def test_the_thread_is_kept_if_asked_for(self, client: LangGraphClient) -> None:
        """on_completion=keep."""
        run = await client.runs.create(None, "agent", input=said("hello"), on_completion="keep")
        await client.runs.join(run["thread_id"], run["run_id"])
        values = await wait(client, run["thread_id"], "agent", input=said("again"))
        assert humans(values) == ["hello", "again"]

    async def test_wait_stream_and_batch(self, client: LangGraphClient) -> None:
        """Each answers as it does on a thread."""
        assert humans(await wait(client, None, "agent", input=said("hello"))) == ["hello"]
        parts = [p async for p in client.runs.stream(None, "agent", input=said("hello"))]
        assert parts[0].event == "metadata"
        assert humans(parts[-1].data) == ["hello"]
        payloads: list[Any] = [{"assistant_id": "agent", "input": said(f"{n}")} for n in range(3)]
        batch = await client.runs.create_batch(payloads)
        assert len({run["thread_id"] for run in batch}) == 3


class TestRefusals:
    """What cannot be run, and how that is told."""

    async def test_unknown_threads_and_assistants(self, client: LangGraphClient) -> None:
        """404 for ids, 422 for what is no id and no graph."""
        with pytest.raises(NotFoundError):
            await client.runs.create(str(uuid4()), "agent", input={})
        with pytest.raises(NotFoundError):
            await client.runs.create(None, str(uuid4()), input={})
        with pytest.raises(UnprocessableEntityError):
            await client.runs.create(None, "no_such_graph", input={})
        with pytest.raises(UnprocessableEntityError):
            await client.runs.create("no uuid", "agent", input={})
        with pytest.raises(UnprocessableEntityError):
            await client.runs.create(None, "agent", input={}, command={"resume": 1})

    async def test_joining_a_run_that_is_not_there(self, client: LangGraphClient) -> None:
        """It is told in the body, as the official server does."""
        told = await client.runs.join(str(uuid4()), str(uuid4()))
        assert told["__error__"]["message"] == "404: Run not found"

    async def test_lists(self, client: LangGraphClient) -> None:
        """Newest first, by status, some fields, and nothing for a status that there is not."""
        run = await run_on_new(client, "steps", {})
        thread_id = run["thread_id"]
        await client.runs.join(thread_id, run["run_id"])
        later = await client.runs.create(thread_id, "steps", input={}, after_seconds=3_600)
        assert [r["run_id"] for r in await client.runs.list(thread_id)] == [
            later["run_id"],
            run["run_id"],
        ]
        assert [r["run_id"] for r in await client.runs.list(thread_id, status="success")] == [
            run["run_id"]
        ]
        assert await client.runs.list(thread_id, limit=0) == []
        assert await client.runs.list(thread_id, status="bogus") == []  # type: ignore[arg-type]  # as said
        assert [*(await client.runs.list(thread_id, select=["status"]))[0]] == ["status"]

    async def test_where_a_run_is_told_to_be(self, server: Serving) -> None:
        """Content-Location and Location, by which the official client reconnects."""
        async with server.http() as http:
            thread_id = str(uuid4())
            body = {"assistant_id": "steps", "input": {}, "if_not_exists": "create"}
            place = f"/threads/{thread_id}/runs"
            created = await http.post(place, json=body)
            assert created.status_code == 200
            run = f"{place}/{created.json()['run_id']}"
            assert created.headers["content-location"] == run
            joined = await http.get(f"{run}/join")
            assert joined.headers["location"] == f"{run}/join"
            for how in ("wait", "stream"):
                answer = await http.post(f"{place}/{how}", json=body)
                run = answer.headers["content-location"]
                end = "join" if how == "wait" else "stream"
                assert answer.headers["location"] == f"{run}/{end}"
