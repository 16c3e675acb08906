"""What contract tests build their worlds from: owners, ids, rows, and concurrent calls."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import uuid4

from harness.contract.base import TABLES, Probe
from harness.models import Assistant, Cron, Item, Run, Thread, ThreadState
from harness.storage.extensions import FullStorage

T = TypeVar("T")

ALICE: Final = "alice"
BOB: Final = "bob"
HOME: Final = ("home", "notes")
"""The namespace that tests put items into when nothing depends on it."""


def new_id() -> str:
    """Return an id that nothing has."""
    return str(uuid4())


async def an_assistant(storage: FullStorage, *, owner: str = ALICE, **given: Any) -> Assistant:
    """Create an assistant of graph `agent`."""
    return await storage.assistants.create(given.pop("graph_id", "agent"), owner=owner, **given)


async def a_thread(storage: FullStorage, *, owner: str = ALICE, **given: Any) -> Thread:
    """Create a thread."""
    return await storage.threads.create(owner=owner, **given)


async def a_run(
    storage: FullStorage,
    *,
    thread_id: str | None = None,
    assistant_id: str | None = None,
    owner: str = ALICE,
    **given: Any,
) -> Run:
    """Queue a run, on a thread and of an assistant of its own where none is given."""
    assistant_id = assistant_id or (await an_assistant(storage, owner=owner)).assistant_id
    thread_id = thread_id or (await a_thread(storage, owner=owner)).thread_id
    return await storage.runs.create(thread_id, assistant_id, owner=owner, **given)


async def a_cron(
    storage: FullStorage, *, assistant_id: str | None = None, owner: str = ALICE, **given: Any
) -> Cron:
    """Create a cron that is due once a year: no test can see it come due by itself."""
    assistant_id = assistant_id or (await an_assistant(storage, owner=owner)).assistant_id
    schedule = given.pop("schedule", "0 0 1 1 *")
    return await storage.crons.create(assistant_id, schedule=schedule, owner=owner, **given)


async def an_item(
    storage: FullStorage, key: str = "note", *, owner: str = ALICE, **given: Any
) -> Item:
    """Put an item and return it as it is stored."""
    namespace, value = given.pop("namespace", HOME), given.pop("value", {"n": 1})
    await storage.items.put_item(namespace, key, value, owner=owner, **given)
    item = await storage.items.get_item(namespace, key, refresh_ttl=False, owner=owner)
    assert item is not None
    return item


async def put_all(
    storage: FullStorage, rows: Iterable[Mapping[str, Any]], *, owner: str = ALICE
) -> None:
    """Put items one after another; a row holds the arguments of `put_item`."""
    for row in rows:
        given = dict(row)
        await storage.items.put_item(given.pop("namespace"), owner=owner, **given)


async def find_cron(storage: FullStorage, cron_id: str, *, owner: str = ALICE) -> Cron | None:
    """Return a cron as a search shows it."""
    found = await storage.crons.search(limit=1_000, owner=owner)
    return next((cron for cron in found if cron.cron_id == cron_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """One row of everything that one owner can have."""

    owner: str
    assistant: Assistant
    thread: Thread
    state: ThreadState
    run: Run
    item: Item
    cron: Cron


async def a_household(storage: FullStorage, owner: str = ALICE) -> Household:
    """Give an owner one of everything: the run is pending, the thread busy and with a state."""
    assistant = await an_assistant(storage, owner=owner)
    thread = await a_thread(storage, owner=owner)
    state = await storage.threads.add_state(thread.thread_id, {"of": owner}, owner=owner)
    run = await a_run(
        storage, thread_id=thread.thread_id, assistant_id=assistant.assistant_id, owner=owner
    )
    item = await an_item(storage, owner=owner, value={"of": owner})
    cron = await a_cron(
        storage, assistant_id=assistant.assistant_id, thread_id=thread.thread_id, owner=owner
    )
    thread = await storage.threads.get(thread.thread_id, owner=owner)
    return Household(
        owner=owner,
        assistant=assistant,
        thread=thread,
        state=state,
        run=run,
        item=item,
        cron=cron,
    )


async def everything(probe: Probe) -> dict[str, list[Mapping[str, Any]]]:
    """Return every row of every table, in an order of their own, to compare before and after."""
    return {table: sorted(await probe.rows(table), key=repr) for table in TABLES}


async def settle(
    calls: Iterable[Awaitable[T]],
    *,
    expect: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> tuple[list[T], list[BaseException]]:
    """Await all calls at once; return the results and the errors of the expected kind.

    Raises:
        BaseException: The first error of any other kind.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            results.append(outcome)
        elif isinstance(outcome, expect):
            errors.append(outcome)
        else:
            raise outcome
    return results, errors


async def all_raise(error: type[BaseException], *calls: Awaitable[Any]) -> None:
    """Await each call, one after another, and show that every one of them raises the error."""
    outcomes = [(await asyncio.gather(call, return_exceptions=True))[0] for call in calls]
    others = {number: one for number, one in enumerate(outcomes) if not isinstance(one, error)}
    assert not others, f"calls that did not raise {error.__name__}, by their place"


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal with their types: `1`, `1.0` and `True` differ."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def case_id(value: Any) -> str:
    """Return a test id that is the same in every process, as sets' own text is not."""
    return "|".join(sorted(value)) if isinstance(value, set | frozenset) else repr(value)
