"""Plain values through this project's savers: what a channel held comes back, wherever it lies."""

import math
import struct
from collections import deque
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Send
from pydantic import BaseModel

from harness.contract.checkpointer.builders import Story, a_thread, at, everywhere, found, listed
from harness.database import Database
from harness.persistence import PooledSaver, Serializer, memory_saver, setup_langgraph
from harness.storage.memory import MemoryBackend

Saver = BaseCheckpointSaver[str]

PLAIN: Final[dict[str, Any]] = {
    "nothing": None,
    "true": True,
    "zero": 0,
    "fraction": 0.5,
    "empty text": "",
    "text": "älter",
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "NaN": math.nan,
    "infinity": math.inf,
    "negative infinity": -math.inf,
    "negative zero": -0.0,
    "whole float": 2.0,
    "large float": 1e16,
    "largest float": 1.7976931348623157e308,
    "smallest float": 5e-324,
    "64 bits": 2**64 - 1,
    "65 bits": 2**64,
    "negative 64 bits": -(2**63) - 1,
    "many digits": 10**1_300,
    "text that looks like a number": "1e16",
}
NESTED: Final = {
    "list": ["a\ud800", 2**70, [math.inf]],
    "dict": {"a": {"b": "\udfff", "c": -(2**80)}},
    "keys": {"\ud800": 1, 2**70: {-(2**64): "\udfff"}, "a": "b"},
}


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


class Number(int):
    """A number of a class of its own."""


class Fraction(float):
    """A fraction of a class of its own."""


class Mood(StrEnum):
    """A text that is an enum."""

    MILD = "mild"


class Level(IntEnum):
    """A number that is an enum."""

    LOW = 1


@pytest.fixture
def memory() -> Saver:
    """Return memory mode's saver."""
    return memory_saver(MemoryBackend())


@pytest.fixture
async def postgres(database: Database) -> Saver:
    """Return a saver on a database of this test."""
    await setup_langgraph(database)
    return PooledSaver(database)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def saver(request: pytest.FixtureRequest) -> Saver:
    """Return one saver, then the other."""
    saver: Saver = request.getfixturevalue(request.param)
    return saver


def exact(value: Any) -> Any:
    """Return a value in a form that is equal only to what it is, its type included."""
    if isinstance(value, dict):
        return {key: exact(one) for key, one in value.items()}
    if isinstance(value, list):
        return [exact(one) for one in value]
    if isinstance(value, float):
        return type(value), "nan" if math.isnan(value) else struct.pack("d", value)
    return type(value), value


async def kept(saver: Saver, config: Any) -> Any:
    """Return the exact values of a checkpoint."""
    return exact((await found(saver, config)).checkpoint["channel_values"])


async def test_plain_values_come_back_as_they_were(saver: Saver) -> None:
    """As a channel's value and as a task's write, read alone and listed, in a fork and a copy."""
    story = Story(saver)
    values = {**PLAIN, **NESTED}
    await story.step(values)
    await story.write(*values.values())
    assert await kept(saver, story.head) == exact(values)
    writes = (await found(saver, story.head)).pending_writes or []
    assert [exact(value) for _, _, value in writes] == [exact(one) for one in values.values()]
    fork = story.fork()
    await fork.step({"another": 1})
    assert await kept(saver, fork.head) == exact({**values, "another": 1})
    copy = a_thread()
    await saver.acopy_thread(str(story.thread_id), copy)
    [latest, first] = await listed(saver, everywhere(copy))
    assert exact(latest.checkpoint["channel_values"]) == exact({**values, "another": 1})
    assert exact(first.checkpoint["channel_values"]) == exact(values)


async def test_a_class_of_its_own_is_the_serializers_to_keep(saver: Saver) -> None:
    """Enums stay enums; what the serializer knows no more of is a plain value, never another."""
    story = Story(saver)
    values = {"t": Text("a"), "n": Number(1), "f": Fraction(0.5), "m": Mood.MILD, "l": Level.LOW}
    plain = {"t": "a", "n": 1, "f": 0.5, "m": Mood.MILD, "l": Level.LOW}
    await story.step(values)
    assert await kept(saver, story.head) == exact(plain)


@dataclass(frozen=True)
class Pair:
    """A dataclass that holds whatever it is given."""

    one: Any
    other: Any


class Named(NamedTuple):
    """A named tuple that does."""

    one: Any


class Model(BaseModel):
    """A Pydantic model that does."""

    one: Any


odd_texts = st.one_of(
    st.sampled_from(["a", "a\ud800", "\udfff"]), st.text(st.characters(), max_size=3)
)
odd_numbers = st.one_of(st.sampled_from([0, 2**64, -(2**63) - 1]), st.integers(-(2**130), 2**130))
odd_keys = st.one_of(odd_texts, odd_numbers)
nested = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_texts, odd_numbers),
    lambda within: st.one_of(
        st.lists(within, max_size=3),
        st.dictionaries(odd_keys, within, max_size=3),
        st.builds(Pair, within, within),
        st.builds(Named, within),
        st.builds(Model, one=st.dictionaries(odd_keys, odd_keys, max_size=2)),
        st.builds(deque, st.lists(within, max_size=2)),
        st.builds(Send, st.just("node"), within),
        st.builds(_DeltaSnapshot, within),
        st.frozensets(odd_keys, max_size=1),
    ),
    max_leaves=12,
)
SERIALIZERS: Final = {
    "strict": Serializer(allow=[(__name__, kind.__name__) for kind in (Pair, Named, Model)]),
    "lenient": Serializer(allow=True),
}


@pytest.mark.invariant(50, 63)
@settings(max_examples=100)
@given(value=nested)
@pytest.mark.parametrize("name", SERIALIZERS)
def test_nested_values_come_back_as_they_were(name: str, value: Any) -> None:
    """Texts and numbers that msgpack cannot hold, in objects and as keys, however deep."""
    serializer = SERIALIZERS[name]
    stored = serializer.dumps_typed(value)
    assert repr(serializer.loads_typed(stored)) == repr(value)
    theirs = JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(stored)
    assert repr(theirs) == repr(value)


@pytest.mark.parametrize("name", SERIALIZERS)
@pytest.mark.parametrize("leaf", ["\ud800", 2**70, object()])
def test_depth_costs_no_more_than_it_should(name: str, leaf: Any) -> None:
    """Objects in objects, each with a part to be marked: none is packed twice for each level."""
    value: Any = Pair(leaf, leaf)
    for _ in range(32):  # 2**32 tries would never end
        value = Pair(value, "\ud800")
    if type(leaf) is object:
        with pytest.raises(TypeError):
            SERIALIZERS[name].dumps_typed(value)
    else:
        assert SERIALIZERS[name].loads_typed(SERIALIZERS[name].dumps_typed(value)) == value


@pytest.mark.parametrize("name", SERIALIZERS)
def test_an_exception_is_kept_as_its_text(name: str) -> None:
    """As LangGraph does it, whatever the text is."""
    stored = SERIALIZERS[name].dumps_typed([ValueError("a")])
    assert SERIALIZERS[name].loads_typed(stored) == ["ValueError('a')"]


plain_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**300), max_value=2**300),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.sampled_from(list(PLAIN.values())),
    st.lists(st.integers(max_value=3), max_size=2),
)
steps = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), plain_values, min_size=1), min_size=1
)


async def tell(story: Story, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Put checkpoints of changes, the last of them in a fork of the first too."""
    wanted = {}
    for number, change in enumerate(changes):
        await story.step(change)
        wanted[story.head["configurable"]["checkpoint_id"]] = dict(story.values)
        if number == 0:
            fork = story.fork()
    await fork.step(changes[-1])
    wanted[fork.head["configurable"]["checkpoint_id"]] = dict(fork.values)
    return wanted


@pytest.mark.postgres
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=steps)
async def test_channels_move_between_row_and_blob(
    memory: Saver, postgres: Saver, changes: list[dict[str, Any]]
) -> None:
    """Whatever a channel holds from step to step, each checkpoint reads as it was put."""
    for saver in (memory, postgres):
        story = Story(saver)
        wanted = await tell(story, changes)
        copy = a_thread()
        await saver.acopy_thread(str(story.thread_id), copy)
        for thread_id in (story.thread_id, copy):
            shown = {
                one.config["configurable"]["checkpoint_id"]: exact(one.checkpoint["channel_values"])
                for one in await listed(saver, everywhere(thread_id))
            }
            assert shown == {key: exact(values) for key, values in wanted.items()}
        if isinstance(saver, PooledSaver):
            await saver.aprune([str(story.thread_id)], strategy="keep_latest")
            assert await kept(saver, at(story.thread_id)) == exact(wanted[max(wanted)])


@pytest.mark.postgres
async def test_a_flag_is_no_delta_channel(postgres: PooledSaver) -> None:
    """A channel that was true, odd, a list and true again is pruned like any other."""
    story, delta = Story(postgres), _DeltaSnapshot(["a"])
    for value in (True, math.nan, ["a"], True):
        await story.step({"c": value, "d": delta})
    await postgres.aprune([str(story.thread_id)], strategy="keep_latest")
    [left] = await listed(postgres, everywhere(story.thread_id))
    assert left.checkpoint["channel_values"]["c"] is True
    assert left.checkpoint["channel_values"]["d"] == delta


async def test_odd_values_in_metadata_stay_as_they_were_defined(saver: Saver) -> None:
    """A text of metadata loses its NULs, in memory and on Postgres."""
    story = Story(saver)
    await story.step({"c": "x\0y"}, note="x\0y")
    there = await found(saver, story.head)
    assert dict(there.metadata)["note"] == "xy"
    assert there.checkpoint["channel_values"] == {"c": "x\0y"}
