"""Binds the calls of a measurement to a backend's public interface, with its default settings."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from harness.measure import rows
from harness.measure.calls import Calls
from harness.measure.rows import NAMESPACE, OWNER, Resource, Table, row_id
from harness.storage.extensions import FullStorage

CHUNK = 1_000
"""Rows that are planted by one call."""


def bind(storage: FullStorage, table: Table, size: int) -> Calls:
    """Return the calls on one table, ready for rows 0 to `size - 1`."""
    match table:
        case "states":
            return _states(storage, size)
        case "items":
            return _items(storage, size)
        case _:
            return _identified(storage, table, size)


def _identified(
    storage: FullStorage, resource: Literal["assistants", "threads", "runs", "crons"], size: int
) -> Calls:
    new = [rows.new(resource, n) for n in range(size)]
    changes = [rows.change(n) for n in range(size)]
    ids = [row_id(resource, n) for n in range(size)]
    tagged = {"tag": rows.tag(0)}
    match resource:
        case "assistants":
            assistants = storage.assistants
            return Calls(
                create=lambda n: assistants.create(**new[n], owner=OWNER),
                create_many=lambda n: assistants.create_many(new[:n], owner=OWNER),
                get=lambda n: assistants.get(ids[n], owner=OWNER),
                update=lambda n: assistants.update(ids[n], metadata=changes[n], owner=OWNER),
                search=lambda: _length(assistants.search(metadata=tagged, owner=OWNER)),
                newest=lambda limit: _length(assistants.search(limit=limit, owner=OWNER)),
                count=lambda: assistants.count(metadata=tagged, owner=OWNER),
                delete=lambda n: assistants.delete(ids[n], owner=OWNER),
            )
        case "threads":
            threads = storage.threads
            return Calls(
                create=lambda n: threads.create(**new[n], owner=OWNER),
                create_many=lambda n: threads.create_many(new[:n], owner=OWNER),
                get=lambda n: threads.get(ids[n], owner=OWNER),
                update=lambda n: threads.update(ids[n], metadata=changes[n], owner=OWNER),
                search=lambda: _length(threads.search(metadata=tagged, owner=OWNER)),
                newest=lambda limit: _length(threads.search(limit=limit, owner=OWNER)),
                count=lambda: threads.count(metadata=tagged, owner=OWNER),
                delete=lambda n: threads.delete(ids[n], owner=OWNER),
            )
        case "runs":
            runs = storage.runs
            on = [row_id("threads", n) for n in range(size)]
            return Calls(
                create=lambda n: runs.create(**new[n], owner=OWNER),
                create_many=lambda n: runs.create_many(new[:n], owner=OWNER),
                get=lambda n: runs.get(on[n], ids[n], owner=OWNER),
                update=lambda n: runs.update(on[n], ids[n], metadata=changes[n], owner=OWNER),
                search=lambda: _length(runs.search(metadata=tagged, owner=OWNER)),
                newest=lambda limit: _length(runs.search(limit=limit, owner=OWNER)),
                count=lambda: runs.count(metadata=tagged, owner=OWNER),
                delete=lambda n: runs.delete(on[n], ids[n], owner=OWNER),
            )
        case "crons":
            crons = storage.crons
            return Calls(
                create=lambda n: crons.create(**new[n], owner=OWNER),
                create_many=lambda n: crons.create_many(new[:n], owner=OWNER),
                get=lambda n: crons.get(ids[n], owner=OWNER),
                update=lambda n: crons.update(ids[n], metadata=changes[n], owner=OWNER),
                search=lambda: _length(crons.search(metadata=tagged, owner=OWNER)),
                newest=lambda limit: _length(crons.search(limit=limit, owner=OWNER)),
                count=lambda: crons.count(metadata=tagged, owner=OWNER),
                delete=lambda n: crons.delete(ids[n], owner=OWNER),
            )


def _items(storage: FullStorage, size: int) -> Calls:
    items = storage.items
    new = [rows.new("items", n) for n in range(size)]
    keys = [row["key"] for row in new]
    values = [row["value"] for row in new]
    changed = [{**values[n], **rows.change(n)} for n in range(size)]
    tagged = {"tag": rows.tag(0)}
    return Calls(
        create=lambda n: items.put_item(NAMESPACE, keys[n], values[n], owner=OWNER),
        create_many=lambda n: items.put_many(new[:n], owner=OWNER),
        get=lambda n: items.get_item(NAMESPACE, keys[n], owner=OWNER),
        update=lambda n: items.put_item(NAMESPACE, keys[n], changed[n], owner=OWNER),
        search=lambda: _length(items.search_items(NAMESPACE, filter=tagged, owner=OWNER)),
        newest=lambda limit: _length(items.search_items(NAMESPACE, limit=limit, owner=OWNER)),
        count=lambda: items.count_items(NAMESPACE, filter=tagged, owner=OWNER),
        delete=lambda n: items.delete_item(NAMESPACE, keys[n], owner=OWNER),
    )


def _states(storage: FullStorage, size: int) -> Calls:
    threads = storage.threads
    thread_id = row_id("threads", 0)
    new = [rows.new("states", n) for n in range(size)]

    async def get_state(_: int) -> object:
        state = await threads.get_state(thread_id, owner=OWNER)
        return state.checkpoint

    return Calls(
        create=lambda n: threads.add_state(**new[n], owner=OWNER),
        get=get_state,
        newest=lambda limit: _length(threads.get_history(thread_id, limit=limit, owner=OWNER)),
    )


async def plant(storage: FullStorage, table: Table, count: int, *, parents: int) -> None:
    """Create rows 0 to `count - 1`, and before them whatever such rows refer to.

    Args:
        storage: An empty one.
        table: Which rows.
        count: How many of them.
        parents: How many threads to make for runs that come later, each on its own thread.
    """
    if table in {"runs", "crons"}:
        await storage.assistants.create(**rows.planted("assistants", 0), owner=OWNER)
    if table == "runs":
        await _plant(storage.threads.create_many, "threads", max(count, parents))
    if table == "states":
        await _plant(storage.threads.create_many, "threads", 1)
        states = bind(storage, "states", count)
        for n in range(count):
            await states.create(n)
        return
    creators: dict[Resource, Callable[..., Awaitable[object]]] = {
        "assistants": storage.assistants.create_many,
        "threads": storage.threads.create_many,
        "runs": storage.runs.create_many,
        "items": storage.items.put_many,
        "crons": storage.crons.create_many,
    }
    await _plant(creators[table], table, count)


async def _plant(
    create_many: Callable[..., Awaitable[object]], resource: Resource, count: int
) -> None:
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        await create_many([rows.planted(resource, n) for n in numbers], owner=OWNER)


async def _length(found: Awaitable[Sequence[Any]]) -> int:
    return len(await found)
