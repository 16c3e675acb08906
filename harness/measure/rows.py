"""The rows that every subject writes and reads: the arguments of `create`, the same for all.

Row `n` carries `n` and a tag that it shares with nine others, so that a search by tag finds ten
rows however many there are.
"""

from typing import Any, Final, Literal, get_args

Resource = Literal["assistants", "threads", "runs", "items", "crons"]
RESOURCES: Final[tuple[Resource, ...]] = get_args(Resource)

Table = Literal["assistants", "threads", "runs", "items", "crons", "states"]
"""Whose rows: a resource's, or the states of thread 0."""

OWNER: Final = "bench"
NAMESPACE: Final = ("bench", "notes")
TAGGED: Final = 10
"""How many rows share a tag."""
MODEL: Final = {"model": "gpt-mini", "temperature": 0.2, "tags": ["a", "b"]}
MESSAGE: Final = {"role": "user", "content": "What is the weather like in Lisbon today?"}


def row_id(resource: Resource, n: int) -> str:
    """Return the id of row `n`; later rows have greater ones, as those that the server makes."""
    return f"{RESOURCES.index(resource) + 1:08x}-0000-7000-8000-{n:012x}"


ASSISTANT_ID: Final = row_id("assistants", 0)


def tag(n: int) -> str:
    """Return the tag of row `n`."""
    return f"tag-{n // TAGGED}"


def metadata(n: int) -> dict[str, Any]:
    """Return what every kind of row is labelled with."""
    return {"n": n, "tag": tag(n), "team": "measurements"}


def new(table: Table, n: int) -> dict[str, Any]:
    """Return the arguments that create row `n`, without an id, as most callers give them."""
    match table:
        case "assistants":
            return {
                "graph_id": "agent",
                "name": f"Assistant {n}",
                "description": "Answers questions about the weather",
                "config": {"recursion_limit": 25, "configurable": dict(MODEL)},
                "metadata": metadata(n),
            }
        case "threads":
            return {"metadata": metadata(n)}
        case "runs":
            return {
                "thread_id": row_id("threads", n),
                "assistant_id": ASSISTANT_ID,
                "kwargs": {"input": {"messages": [dict(MESSAGE)]}, "stream_mode": ["values"]},
                "metadata": metadata(n),
            }
        case "items":
            return {"namespace": NAMESPACE, "key": f"note-{n}", "value": item_value(n)}
        case "crons":
            return {
                "assistant_id": ASSISTANT_ID,
                "schedule": "*/5 * * * *",
                "payload": {"input": {"messages": [dict(MESSAGE)]}},
                "metadata": metadata(n),
            }
        case "states":
            return {
                "thread_id": row_id("threads", 0),
                "values": {"messages": [dict(MESSAGE), {"role": "ai", "content": f"{n} degrees."}]},
                "next": ["agent"],
                "metadata": {"step": n, "source": "loop"},
            }


def planted(resource: Resource, n: int) -> dict[str, Any]:
    """Return the arguments that create row `n` under an id that is known beforehand."""
    row = new(resource, n)
    if resource != "items":
        row[f"{resource[:-1]}_id"] = row_id(resource, n)
    return row


def item_value(n: int) -> dict[str, Any]:
    """Return the value of item `n`."""
    return {"text": "Lisbon is sunny", **metadata(n)}


def change(n: int) -> dict[str, Any]:
    """Return the metadata that an update merges into row `n`."""
    return {"n": n + 1, "seen": True}
