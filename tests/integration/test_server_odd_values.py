"""Whatever a graph keeps, says, asks or raises: its run ends, once, and its thread can be read."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.server.execution.execution import MAX_ATTEMPTS
from tests.integration.served.odd import ERRORS, VALUE_PLACES, VALUES
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)

Case = tuple[str, str]

MODES: Final = (
    *("values", "updates", "custom", "messages-tuple", "messages"),
    *("tasks", "checkpoints", "debug", "events"),
)
ERROR_PLACES: Final = ("error", "error of a task", "error of a thread")
PASSING: Final = ("DatabaseUnavailable", "Overloaded")
"""What storage tells a node while the database is away: another attempt goes on from there."""
LARGE: Final = "17 MiB"
CASES: Final[list[Case]] = [
    *(
        (place, name)
        for place in (*VALUE_PLACES, "item")
        for name in sorted(VALUES.keys() - {LARGE})
    ),
    *(
        (place, name)
        for place in ERROR_PLACES
        for name in ERRORS
        # In CPython before 3.12 a future that gets a StopIteration from a thread never ends.
        if (place, name) != ("error of a thread", "StopIteration")
    ),
]
SEEN: Final[list[Case]] = [
    ("state", "NUL"),
    ("state", "150 dicts"),
    ("interrupt", "tuple key"),
    ("interrupt", "2**70"),
    ("interrupt", "300 models"),
    ("custom event", "unset slot"),
    ("custom event", "no such zone"),
    ("custom event", "circular dict"),
    ("messages", "message in a dict"),
    ("message", "message without content"),
    ("error", "speechless"),
    ("error", "noted"),
    ("error", "SystemExit"),
    ("error", "CancelledError"),
    ("error", "GraphDrained"),
    ("error of a task", "KeyboardInterrupt"),
]
"""What was executed again and again, ended the server, or broke reading, but for what is huge."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where executions are counted."""
    return tmp_path_factory.mktemp("odd")


def unreadable(answer: httpx.Response) -> bool:
    """Whether an answer says that a class was stored that is not to be made again."""
    return answer.status_code == 409 and "cannot be read" in answer.text


async def ended(
    http: httpx.AsyncClient, logs: Path, case: Case, modes: Sequence[str] = MODES
) -> str:
    """Run a graph that does something odd; return the thread, whose run has ended."""
    place, name = case
    log, thread_id = logs / uuid4().hex, str(uuid4())
    log.touch()
    asked = {
        "assistant_id": "odd",
        "input": {"log": str(log), "place": place, "value": name},
        "if_not_exists": "create",
        "stream_mode": modes,
    }
    runs = f"/threads/{thread_id}/runs"
    made = (await http.post(runs, json=asked)).json()
    answer = await http.get(f"{runs}/{made['run_id']}/join")
    assert answer.status_code == 200 or unreadable(answer), (case, answer.text[:300])
    answer.json()
    run = (await http.get(f"{runs}/{made['run_id']}")).json()
    thread = (await http.get(f"/threads/{thread_id}")).json()
    assert run["status"] in ("success", "error"), case
    assert thread["status"] in ("idle", "interrupted", "error"), case
    executed = MAX_ATTEMPTS if place in ERROR_PLACES and name in PASSING else 1
    assert (log.read_text(), run["attempt"] > 1) == ("x" * executed, executed > 1), case
    return thread_id


async def readable(http: httpx.AsyncClient, thread_id: str) -> None:
    """Read a thread in every way, and copy it, write to it, and run on it."""
    thread = f"/threads/{thread_id}"
    [run] = (await http.get(f"{thread}/runs")).json()
    listed = await http.get(f"{thread}/history")
    if unreadable(listed):
        return
    assert listed.status_code == 200, listed.text[:300]
    history = listed.json()
    for method, path, body in (
        ("GET", f"{thread}/state", None),
        ("GET", f"{thread}/state?subgraphs=true", None),
        *(("GET", f"{thread}/state/{one['checkpoint_id']}", None) for one in history),
        ("POST", f"{thread}/state/checkpoint", {"checkpoint": history[-1]["checkpoint"]}),
        ("POST", f"{thread}/history", {"limit": 2}),
        ("POST", f"{thread}/copy", {}),
        ("POST", "/threads/search", {"ids": [thread_id], "extract": {"x": "values.kept"}}),
        ("POST", "/threads/count", {"values": {"place": "state"}}),
        ("GET", f"{thread}/runs/{run['run_id']}/join", None),
        ("GET", f"{thread}/runs/{run['run_id']}/stream", None),
        ("POST", f"{thread}/state", {"values": {"place": "nothing"}, "as_node": "rest"}),
    ):
        answer = await http.request(method, path, json=body)
        refused = unreadable(answer)
        assert answer.status_code == 200 or refused, (method, path, answer.text[:300])
        if not path.endswith("/stream"):
            answer.json()
        if refused:  # it says so, and so would the next run
            return
    again = {"assistant_id": "odd", "input": {"place": "nothing"}}
    answer = await http.post(f"{thread}/runs/wait", json=again)
    assert "__error__" not in answer.json()
    assert (await http.get(thread)).json()["status"] == "idle"


async def hold(server: Serving, logs: Path, cases: list[Case]) -> None:
    """Have the promises be kept in each of the cases, all at once."""
    async with server.http() as http, asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(_hold(http, logs, case))


async def _hold(http: httpx.AsyncClient, logs: Path, case: Case) -> None:
    try:
        await readable(http, await ended(http, logs, case))
    except (AssertionError, httpx.HTTPError) as exc:
        exc.add_note(f"in the case {case}")
        raise


@pytest.mark.slow_in_memory
@pytest.mark.invariant(50, 54)
async def test_what_was_seen(server: Serving, logs: Path) -> None:
    """What was executed again and again, ended the server, or made its thread unreadable."""
    await hold(server, logs, SEEN)
    assert max(map(len, server.log().splitlines())) < 200_000


@pytest.mark.slow_in_memory
@pytest.mark.invariant(50, 54)
@given(cases=st.lists(st.sampled_from(CASES), min_size=8, max_size=8, unique=True))
@settings(max_examples=1)
async def test_odd_values(server: Serving, logs: Path, cases: list[Case]) -> None:
    """Of any odd value or error, wherever a node can put it: the run ends, and all can be read."""
    await hold(server, logs, cases)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", [*VALUE_PLACES, "item", *ERROR_PLACES])
async def test_every_odd_value(server: Serving, logs: Path, place: str) -> None:
    """All values and all errors at each place."""
    cases = [case for case in CASES if case[0] == place]
    for n in range(0, len(cases), 8):
        await hold(server, logs, cases[n : n + 8])


@pytest.mark.invariant(54)
@pytest.mark.parametrize("graph", ["renamed", "summed", "checked", "exiting", "moved"])
async def test_what_its_graph_no_longer_reads(server: Serving, graph: str) -> None:
    """A thread of a graph that was changed shows what it has, and says why if not as a state."""
    thread_id = str(uuid4())
    thread = f"/threads/{thread_id}"
    asked = {
        "assistant_id": f"changed_{graph}",
        "input": {"count": "one", "words": ["a"]},
        "config": {"configurable": {"version": 1}},
        "interrupt_before": ["second"],
        "if_not_exists": "create",
    }
    async with server.http() as http:
        await http.post(f"{thread}/runs/wait", json=asked)
        [run] = (await http.get(f"{thread}/runs")).json()
        assert run["status"] == "success"
        answers = [
            await http.get(f"{thread}/state"),
            await http.get(f"{thread}/history"),
            await http.post(f"{thread}/history", json={"limit": 1}),
            await http.get(f"{thread}/runs/{run['run_id']}/join"),
            await http.post(f"{thread}/copy", json={}),
        ]
        assert [answer.status_code for answer in answers] == [200] * 5
        state, history, [newest], joined, _ = [answer.json() for answer in answers]
        assert history[0] == newest == state
        assert joined == state["values"]
        assert ("unreadable" in state) is (graph == "checked")
        if graph != "renamed":  # which has none of them
            assert state["values"] == {"count": "one", "words": ["a"]}
        update = await http.post(f"{thread}/state", json={"values": {"count": 1}})
        raises = graph in ("summed", "checked", "exiting")
        assert update.status_code == (400 if raises else 200), update.text
        assert (await http.get("/ok")).status_code == 200


@pytest.mark.slow_in_memory
@pytest.mark.invariant(50, 54)
async def test_a_state_too_large_to_show(server: Serving, logs: Path) -> None:
    """The run succeeds and the state has it whole; the thread's row has a mark."""
    async with server.http() as http:
        thread = f"/threads/{await ended(http, logs, ('state', LARGE), ['custom'])}"
        [run] = (await http.get(f"{thread}/runs")).json()
        assert run["status"] == "success"
        values = (await http.get(f"{thread}/state")).json()["values"]
        assert len(values["kept"]) == 17 * 2**20
        found = await http.post("/threads/search", json={"ids": [thread.rpartition("/")[2]]})
        [row] = found.json()
        assert row["values"]["type"] == "not_implemented"


@pytest.mark.invariant(50, 54)
async def test_a_message_without_content(server: Serving) -> None:
    """As an input it fails its run, as a command or an update it is refused; all can be read."""
    thread_id = str(uuid4())
    thread, message = f"/threads/{thread_id}", {"messages": [{"role": "user"}]}
    asked = {"assistant_id": "agent", "if_not_exists": "create"}
    said = {"messages": [{"role": "user", "content": "hello"}]}
    async with server.http() as http:
        for given in ({"input": message}, {"command": {"update": message}}, {"input": said}):
            await http.post(f"{thread}/runs/wait", json={**asked, **given})
            state = await http.get(f"{thread}/state")
            answers = [
                state,
                await http.get(f"{thread}/history"),
                await http.post(f"{thread}/copy", json={}),
                await http.post("/threads/search", json={"ids": [thread_id]}),
            ]
            assert [answer.status_code for answer in answers] == [200] * 4
        assert len(state.json()["values"]["messages"]) == 2
        update = await http.post(f"{thread}/state", json={"values": message, "as_node": "answer"})
        assert update.status_code == 400
        runs = (await http.get(f"{thread}/runs")).json()
    assert [run["status"] for run in runs] == ["success", "error", "error"]
    assert {run["attempt"] for run in runs} == {1}
