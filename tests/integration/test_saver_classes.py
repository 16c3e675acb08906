"""Which classes come back from checkpoints under a strict serializer: those of a graph's schema."""

import dataclasses
import json
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from harness.contract.checkpointer.builders import Story, at, everywhere, found, listed
from harness.database import Database
from harness.errors import InvalidInput, Unreadable
from harness.persistence import (
    PooledSaver,
    Serializer,
    memory_saver,
    register_schemas,
    setup_langgraph,
)
from harness.storage.memory import MemoryBackend
from tests.integration.savers.hostile import hostile

pytestmark = pytest.mark.invariant(63)

ItemT = TypeVar("ItemT")
Saver = BaseCheckpointSaver[str]


class Colour(Enum):
    """An enum."""

    RED = "red"


class Point(NamedTuple):
    """A named tuple, which LangGraph's own `compile` does not register."""

    x: int


@dataclasses.dataclass(frozen=True)
class Place:
    """A dataclass that holds others."""

    colour: Colour
    points: Sequence[Point]


class Box(BaseModel, Generic[ItemT]):
    """A generic model."""

    item: ItemT


class Deep(TypedDict, total=False):
    """A state within the state."""

    decimal: Decimal


class Person(BaseModel):
    """A model that holds secrets and others."""

    name: str
    at: datetime
    secret: SecretStr
    box: Box[int] | None = None


class State(TypedDict, total=False):
    """Every kind of class that a schema may name."""

    colour: Colour
    point: Point
    place: Place | None
    places: dict[str, Place]
    boxed: Box[int]
    person: Person
    deep: Deep
    secret: SecretStr
    queue: deque[int]
    pairs: set[tuple[int, tuple[str, ...]]]
    messages: Annotated[list[AnyMessage], add_messages]
    documents: list[Document]
    array: Any


class Undeclared(BaseModel):
    """A class that no schema names."""

    name: str


VALUES: Final[State] = {
    "colour": Colour.RED,
    "point": Point(1),
    "place": Place(Colour.RED, (Point(1), Point(2))),
    "places": {"a": Place(Colour.RED, [])},
    "boxed": Box[int](item=1),
    "person": Person(name="a", at=datetime(2026, 1, 1, tzinfo=UTC), secret=SecretStr("s")),
    "deep": {"decimal": Decimal("1.5")},
    "secret": SecretStr("s"),
    "queue": deque([1]),
    "pairs": {(1, ("a", "b")), (2, ())},
    "messages": [HumanMessage("a", id="1"), AIMessage("b", id="2")],
    "documents": [Document("text")],
}


def strict_memory() -> Saver:
    """Return memory mode's saver, strict."""
    return memory_saver(MemoryBackend(), serde=Serializer(allow=()))


@pytest.fixture
async def strict_postgres(database: Database) -> PooledSaver:
    """Return a strict saver on a database of this test."""
    await setup_langgraph(database)
    return PooledSaver(database, serde=Serializer(allow=()))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def saver(request: pytest.FixtureRequest) -> Saver:
    """Return one saver, then the other."""
    if request.param == "memory":
        return strict_memory()
    found: Saver = request.getfixturevalue("strict_postgres")
    return found


def graph_of(schema: Any, saver: Saver, node: Any) -> Any:
    """Return a graph of one node, compiled elsewhere and copied, as `create_agent` does it."""
    graph = StateGraph(schema)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    compiled = graph.compile().with_config({"tags": ["copied"]})
    register_schemas(saver, compiled)
    return compiled.copy({"checkpointer": saver})


def strict_copy(saver: Any) -> Any:
    """Return a saver of the same rows, with a serializer to which nothing was told."""
    if isinstance(saver, PooledSaver):
        return PooledSaver(saver.database, serde=Serializer(allow=()))
    return saver


async def test_classes_of_the_schema_come_back_as_themselves(saver: Saver) -> None:
    """Enums, named tuples, dataclasses, models, generic ones, secrets, messages, however deep."""
    graph = graph_of(State, saver, lambda _: {})
    thread = at("t")
    array = np.arange(4).reshape(2, 2)
    await graph.ainvoke({**VALUES, "array": array}, thread)
    values = (await graph.aget_state(thread)).values
    assert np.array_equal(values.pop("array"), array)
    assert values["place"].points == [Point(1), Point(2)]  # msgpack has no tuples
    assert values == {**VALUES, "place": Place(Colour.RED, values["place"].points)}
    for name, value in VALUES.items():
        assert type(values[name]) is type(value), name
    assert isinstance(values["place"].points[0], Point)


async def test_those_of_a_subgraph_and_of_what_a_node_takes(saver: Saver) -> None:
    """A class that only a subgraph's state or a `Send` names is registered with the graph."""

    class Inner(TypedDict):
        place: Place

    class Taken(TypedDict):
        person: Person

    class Outer(TypedDict, total=False):
        place: Any
        done: str

    inner = StateGraph(Inner)
    inner.add_node("keep", lambda state: {"place": state["place"]})
    inner.add_edge(START, "keep")

    def taking(state: Taken) -> Outer:
        return {"done": type(state["person"]).__name__}

    graph = StateGraph(Outer)
    graph.add_node("inner", inner.compile(checkpointer=True))
    graph.add_node("taking", taking)
    graph.add_edge(START, "inner")
    graph.add_conditional_edges(
        "inner", lambda _: [Send("taking", {"person": VALUES["person"]})], ["taking"]
    )
    compiled = graph.compile(saver, interrupt_before=["taking"])
    register_schemas(saver, compiled)
    await compiled.ainvoke({"place": VALUES["place"]}, at("t"))
    done = await compiled.ainvoke(None, at("t"))
    assert done["done"] == "Person"
    assert type(done["place"]) is Place


async def test_a_class_need_not_stand_at_the_top_of_a_module(saver: Saver) -> None:
    """A schema that a function made is the graph's schema, too."""

    @dataclasses.dataclass
    class Local:
        number: int

    class Here(TypedDict):
        local: Local

    graph = graph_of(Here, saver, lambda _: {})
    await graph.ainvoke({"local": Local(1)}, at("t"))
    assert (await graph.aget_state(at("t"))).values == {"local": Local(1)}


async def test_what_would_not_be_revived_is_refused_when_it_is_written(saver: Saver) -> None:
    """A class that no schema names is an error that names it, not a dict in the next run."""
    graph = graph_of(State, saver, lambda _: {"array": [Undeclared(name="a")]})
    with pytest.raises(InvalidInput, match=r"Undeclared is no class of a schema"):
        await graph.ainvoke({}, at("t"))
    assert (await graph.aget_state(at("t"))).values.get("array") is None
    allowed = Serializer(allow={(__name__, "Undeclared")})
    value = [Undeclared(name="a")]
    assert allowed.loads_typed(allowed.dumps_typed(value)) == value


@dataclasses.dataclass
class Unmakeable:
    """A dataclass that its own fields do not make."""

    number: int = dataclasses.field(init=False, default=1)


async def test_what_cannot_be_made_again_is_refused_when_it_is_written(saver: Saver) -> None:
    """A class of the schema that its stored fields do not make keeps no thread from being read."""

    class Here(TypedDict):
        made: Unmakeable

    graph = graph_of(Here, saver, lambda _: {})
    with pytest.raises(InvalidInput, match=r"Unmakeable cannot be made again"):
        await graph.ainvoke({"made": Unmakeable()}, at("t"))


HOSTILE: Final = tuple(hostile(Path("x")))


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_row_runs_nothing_and_is_an_error(name: str, tmp_path: Path) -> None:
    """Neither None nor a dict is read from it, and no code of it runs."""
    file = tmp_path / "made"
    serializer = Serializer(allow=())
    with pytest.raises(Unreadable, match=r"\w"):
        serializer.loads_typed(hostile(file)[name])
    assert not file.exists()


def test_the_hostile_rows_are_hostile(tmp_path: Path) -> None:
    """Where any class is revived the same rows make their file: the test above can fail."""
    for name in ("a call with one argument", "a call with arguments", "within a message"):
        file = tmp_path / name.replace(" ", "-")
        Serializer(allow=True).loads_typed(hostile(file)[name])
        assert file.exists()


@pytest.mark.postgres
async def test_a_hostile_row_is_an_error_wherever_it_lies(
    strict_postgres: PooledSaver, tmp_path: Path
) -> None:
    """As a channel's blob, as a task's write and as a delta channel's history."""
    file = tmp_path / "made"
    kind, packed = hostile(file)["a call with one argument"]
    database = strict_postgres.database
    for table in ("checkpoint_blobs", "checkpoint_writes"):
        story = Story(strict_postgres)
        await story.step({"c": ["a"]})
        await story.write("b")
        await story.step({"other": 1})
        async with database.transaction() as connection:
            await connection.execute(
                f"UPDATE {table} SET type = %s, blob = %s WHERE thread_id = %s",  # noqa: S608
                [kind, packed, story.thread_id],
            )
        with pytest.raises(Unreadable):
            await listed(strict_postgres, everywhere(story.thread_id))
        with pytest.raises(Unreadable):
            await strict_postgres.aget_delta_channel_history(config=story.head, channels=["c"])
    assert not file.exists()


async def test_rows_of_before_are_read(saver: Saver) -> None:
    """What LangGraph wrote as JSON: its own messages, and plain values."""
    message = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "HumanMessage"],
        "kwargs": {"content": "a", "type": "human"},
    }
    uuid = {"lc": 2, "type": "constructor", "id": ["decimal", "Decimal"], "args": ["1.5"]}
    old = json.dumps({"messages": [message], "n": uuid, "plain": {"lc": "x"}}).encode()
    read = saver.serde.loads_typed(("json", old))
    assert read == {"messages": [HumanMessage("a")], "n": Decimal("1.5"), "plain": {"lc": "x"}}


async def test_a_delta_channel_of_classes(saver: Saver) -> None:
    """Its writes and its snapshots are of the schema's classes, too."""

    class Here(TypedDict):
        places: Annotated[list[Place], DeltaChannel(_extended, snapshot_frequency=2)]

    graph = graph_of(Here, saver, lambda _: {"places": [Place(Colour.RED, [])]})
    for _ in range(3):
        await graph.ainvoke({"places": []}, at("t"))
    values = (await graph.aget_state(at("t"))).values
    assert values == {"places": 3 * [Place(Colour.RED, [])]}


def _extended(old: list[Place], new: Any) -> list[Place]:
    return [*old, *(one for written in new for one in written)]


async def test_another_process_reads_them_once_it_knows_the_graph(saver: Saver) -> None:
    """Before its graph is there a class is an error; afterwards it comes back."""
    graph = graph_of(State, saver, lambda _: {})
    await graph.ainvoke({"point": Point(1)}, at("t"))
    other = strict_copy(saver)
    if other is not saver:
        with pytest.raises(Unreadable, match=r"Point is no class of a schema"):
            await found(other, at("t"))
    again = graph_of(State, other, lambda _: {})
    assert (await again.aget_state(at("t"))).values["point"] == Point(1)
