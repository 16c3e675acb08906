# ruff: noqa: F601 -- keys that become one are what it is about
"""A graph whose node keeps, says, asks or raises something odd; its input names where and what."""

import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, NamedTuple, NoReturn, TypedDict

import numpy as np
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langgraph.config import get_store, get_stream_writer
from langgraph.errors import GraphDrained, GraphInterrupt, GraphRecursionError, ParentCommand
from langgraph.graph import START, StateGraph, add_messages
from langgraph.types import Command, Interrupt, Send, interrupt
from pydantic import BaseModel, model_serializer

from harness.errors import DatabaseUnavailable, InvalidInput, LeaseLost, NotFound, Overloaded


class Odd(TypedDict, total=False):
    """What to do, and what came of it."""

    log: str
    """A file that gets a byte each time that the node is executed."""
    place: str
    value: str
    kept: Any
    messages: Annotated[list[AnyMessage], add_messages]


class Raises:
    """An object each of whose own methods raises."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("no repr")

    __str__ = __iter__ = __len__ = __hash__ = __eq__ = __bool__ = __repr__  # type: ignore[assignment]
    keys = items = tolist = model_dump = _asdict = __repr__


class Exits:
    """An object that ends whoever looks at it."""

    def __repr__(self) -> NoReturn:
        raise SystemExit


class Nameless:
    """An object whose texts are none."""

    __module__ = 5  # type: ignore[assignment]

    def __repr__(self) -> str:
        return 5  # type: ignore[return-value]

    __str__ = __repr__


class Faceless:
    """An object that does not tell its class."""

    @property  # type: ignore[misc]
    def __class__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("no class")


@dataclasses.dataclass(slots=True)
class Unset:
    """A dataclass."""

    field: Any


@dataclasses.dataclass
class Closed:
    """A dataclass that lets nobody look."""

    field: int = 1

    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError(name)


class Secret(BaseModel):
    """A model that cannot be dumped."""

    field: int = 1

    @model_serializer
    def dump(self) -> dict[str, Any]:
        """Raise."""
        raise RuntimeError("no dump")


class Loose(BaseModel):
    """A model of anything."""

    field: Any = None


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: Any


class Color(enum.Enum):
    """Enums whose values are odd."""

    RED = (1, 2)
    BLUE = 2**70


class Broken(dict[str, Any]):
    """A dict whose own methods raise."""

    def items(self) -> NoReturn:
        """Raise."""
        raise RuntimeError("no items")

    __iter__ = keys = __getitem__ = items  # type: ignore[assignment]


class Zone(dt.tzinfo):
    """A time zone that nobody knows."""

    def utcoffset(self, when: dt.datetime | None) -> NoReturn:
        """Raise."""
        raise RuntimeError("no offset")

    dst = tzname = utcoffset


class Speechless(Exception):
    """An error whose text cannot be read."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __str__


class Wordless(Exception):
    """An error whose text is none."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


class Last(BaseException):
    """What `except Exception` does not catch."""


class Noted(Exception):
    """An error whose notes are none."""

    __notes__ = 5  # type: ignore[assignment]


def nested(levels: int, kind: Callable[[Any], Any]) -> Any:
    """Return something that contains something, and so on."""
    value: Any = 1
    for _ in range(levels):
        value = kind(value)
    return value


def loop(value: Any, key: Any = 0) -> Any:
    """Return a list or a dict that contains itself."""
    value[key] = value
    return value


def numbers() -> Iterator[int]:
    """Yield numbers."""
    yield from range(3)


VALUES: Final[dict[str, Callable[[], Any]]] = {
    "plain": lambda: {"a": [1, 2.5, "x", None, True]},
    "nothing": lambda: None,
    "tuple key": lambda: {(1, "a"): 1, ("b",): 2},
    "int key": lambda: {1: "a", "1": "b", True: "c", None: "d", 2.5: "e"},
    "odd keys": lambda: {b"a": 1, frozenset({1}): 2, Color.RED: 3, uuid.UUID(int=1): 4},
    "NUL key": lambda: {"a\0": 1, "a\ufffd": 2},
    "surrogate keys": lambda: {"a\ud800": 1, "a\udfff": 2},
    "2**64": lambda: 2**64,
    "2**63": lambda: 2**63,
    "2**70": lambda: [2**70, -(2**70)],
    "10,000 digits": lambda: 10**10_000,
    "NaN": lambda: float("nan"),
    "infinities": lambda: {"a": [float("inf"), float("-inf")]},
    "-0.0": lambda: -0.0,
    "NUL": lambda: "a\0b",
    "NUL inside": lambda: {"a": ["a\0b"]},
    "surrogate": lambda: "a\ud800b",
    "surrogate inside": lambda: {"a": ["\udfff"]},
    "bytes": lambda: b"\xff\0a",
    "bytearray": lambda: bytearray(b"ab"),
    "memoryview": lambda: memoryview(b"ab"),
    "set": lambda: {1, "a", (2, 3)},
    "deque": lambda: collections.deque([1, 2]),
    "circular list": lambda: loop([1]),
    "circular dict": lambda: loop({}, "a"),
    "99 lists": lambda: nested(99, lambda inner: [inner]),
    "150 dicts": lambda: nested(150, lambda inner: {"a": inner}),
    "300 lists": lambda: nested(300, lambda inner: [inner]),
    "100,000 lists": lambda: nested(100_000, lambda inner: [inner]),
    "300 models": lambda: nested(300, lambda inner: Loose.model_construct(field=inner)),
    "object": object,
    "raises": Raises,
    "exits": Exits,
    "nameless": Nameless,
    "faceless": Faceless,
    "unset slot": lambda: Unset.__new__(Unset),
    "closed dataclass": Closed,
    "dataclass": lambda: Unset(field={(1,): 2}),
    "secret model": Secret,
    "model": lambda: Loose(field={(1,): 2**70}),
    "named tuple": lambda: Pair(1, {2: 3}),
    "enum": lambda: Color.RED,
    "enum beyond": lambda: Color.BLUE,
    "broken dict": lambda: Broken(a=1),
    "counter": lambda: collections.Counter("aab"),
    "decimal": lambda: decimal.Decimal("NaN"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "complex": lambda: 1 + 2j,
    "datetime": lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "time in a zone": lambda: dt.time(1, tzinfo=dt.UTC),
    "no such zone": lambda: dt.datetime(2026, 1, 1, tzinfo=Zone()),
    "timedelta": lambda: dt.timedelta(days=1),
    "uuid": lambda: uuid.UUID(int=1),
    "path": lambda: PurePosixPath("a/b"),
    "pattern": lambda: re.compile("a"),
    "range": lambda: range(3),
    "generator": numbers,
    "lambda": lambda: lambda: 1,
    "class": lambda: Odd,
    "lock": threading.Lock,
    "module": lambda: asyncio,
    "error": lambda: ValueError("x"),
    "speechless error": Speechless,
    "array": lambda: np.arange(6).reshape(2, 3)[:, ::2],
    "array of objects": lambda: np.array([object(), None]),
    "numpy numbers": lambda: [np.int64(1), np.float32("nan"), np.longdouble(1), np.bool_(True)],
    "NaT": lambda: np.datetime64("NaT", "s"),
    "17 MiB": lambda: "x" * (17 * 2**20),
    "interrupt": lambda: Interrupt({(1,): 2}),
    "send": lambda: Send("act", 1),
    "command": lambda: Command(update={"kept": 1}),
    "message": lambda: AIMessage("a\0\ud800", additional_kwargs={"a": {(1,): 2**70}}),
    "message without content": AIMessage.model_construct,
    "message of an object": lambda: AIMessage.model_construct(content=object()),
    "message in a dict": lambda: {"role": "user"},
    "chunk": lambda: AIMessageChunk(content="a", additional_kwargs={"a": 2**70}),
}
"""Odd values by name."""

ERRORS: Final[dict[str, Callable[[], BaseException]]] = {
    "speechless": Speechless,
    "wordless": Wordless,
    "huge": lambda: ValueError("x" * 2**24),
    "NUL": lambda: ValueError("a\0b"),
    "surrogate": lambda: ValueError("a\ud800b"),
    "no argument": ValueError,
    "noted": Noted,
    "object": lambda: ValueError(Raises()),
    "group": lambda: ExceptionGroup("many", [ExceptionGroup("few", [Speechless()])]),
    "base group": lambda: BaseExceptionGroup("many", [Last("x"), SystemExit(3)]),
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": lambda: SystemExit(3),
    "CancelledError": asyncio.CancelledError,
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": lambda: StopIteration(1),
    "StopAsyncIteration": StopAsyncIteration,
    "BaseException": lambda: Last("x"),
    "TimeoutError": TimeoutError,
    "GraphDrained": GraphDrained,
    "GraphInterrupt": lambda: GraphInterrupt([Interrupt({(1,): 2**70}, id="no id")]),
    "empty GraphInterrupt": GraphInterrupt,
    "GraphRecursionError": GraphRecursionError,
    "ParentCommand": lambda: ParentCommand(Command(graph=Command.PARENT, update={"kept": 1})),
    "LeaseLost": LeaseLost,
    "NotFound": NotFound,
    "InvalidInput": InvalidInput,
    "DatabaseUnavailable": DatabaseUnavailable,
    "Overloaded": Overloaded,
    "unnamed": lambda: type("Odd\nname" * 99, (Exception,), {})("x"),
}
"""Odd errors by name."""


def _failing(error: BaseException) -> NoReturn:
    raise error


def _asked(value: Any) -> dict[str, Any]:
    return {"kept": interrupt(value)}


def _written(value: Any) -> None:
    get_stream_writer()(value)


VALUE_PLACES: Final[dict[str, Callable[[Any], Any]]] = {
    "state": lambda value: {"kept": value},
    "state by command": lambda value: Command(update={"kept": value}),
    "whole answer": lambda value: value,
    "two interrupts": lambda value: [_asked(1), _asked(value)],
    "interrupt": _asked,
    "custom event": _written,
    "error argument": lambda value: _failing(ValueError(value)),
    "error note": lambda value: _failing(KeyError(value)),
    "message content": lambda value: {"messages": [AIMessage.model_construct(content=value)]},
    "message field": lambda value: {
        "messages": [AIMessage("x", additional_kwargs={"odd": value}, id="a")]
    },
    "message": lambda value: {"messages": [value]},
    "messages": lambda value: {"messages": value},
    "goto": lambda value: Command(goto=value),
    "send": lambda value: Command(goto=Send("rest", value)),
}
"""What a node does with an odd value."""


async def act(state: Odd) -> Any:
    """Do what is asked for, and be counted."""
    _count(Path(state["log"]))
    place, name = state["place"], state["value"]
    if place == "nothing":
        return {"kept": None}
    if place == "error":
        _failing(ERRORS[name]())
    if place == "error of a task":
        await asyncio.create_task(_fail(name))
    if place == "error of a thread":
        await asyncio.to_thread(lambda: _failing(ERRORS[name]()))
    value = VALUES[name]()
    if place == "item":
        await get_store().aput(("odd",), state["log"][-20:], {"kept": value})
        return None
    return VALUE_PLACES[place](value)


def _count(log: Path) -> None:
    with log.open("a") as file:
        file.write("x")


async def _fail(name: str) -> None:
    _failing(ERRORS[name]())


async def rest(state: Any) -> None:
    """Do nothing."""


graph = StateGraph(Odd)
graph.add_node("act", act)
graph.add_node("rest", rest)
graph.add_edge(START, "act")
