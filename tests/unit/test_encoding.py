# ruff: noqa: F601 -- keys that become one are what it is about
"""JSON text is made of any Python value, and of ordinary ones as it always was."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from harness.server.encoding import clean, encode, storable
from harness.server.execution.outcomes import MAX_MESSAGE, error_of, node_of
from harness.storage.values import canonical
from tests.integration.served.odd import ERRORS, VALUES, Pair

QUICK = sorted(VALUES.keys() - {"17 MiB", "100,000 lists", "faceless"})  # Hypothesis asks its class
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs", "Cc", "Lu"])),
    st.binary(),
    st.complex_numbers(),
    st.decimals(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from(QUICK).map(lambda name: VALUES[name]()),
)
KEYS = st.one_of(
    st.text(max_size=3),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=2),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.none(),
    st.booleans(),
    st.tuples(st.integers(), st.text(max_size=2)),
    st.dates(),
    st.frozensets(st.integers(), max_size=2),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(collections.deque),
        st.dictionaries(KEYS, inner, max_size=4),
        st.builds(Pair, inner, inner),
        st.builds(lambda value: AIMessage("x", additional_kwargs={"odd": value}), inner),
        st.builds(lambda value: AIMessage.model_construct(content=value), inner),
    ),
    max_leaves=12,
)


@given(ANYTHING)
@settings(derandomize=True, max_examples=200)
def test_anything_has_json_text(value: Any) -> None:
    """Whatever is nested in whatever: text that any client can parse, and that can be sent."""
    text = encode(value)
    assert json.loads(text.encode()) == orjson.loads(text)


@given(ANYTHING)
@settings(derandomize=True, max_examples=100)
def test_anything_can_be_stored_lossily(value: Any) -> None:
    """What is made of it for a row is canonical JSON, and so is what is made of its JSON text."""
    for read in (storable(value), storable(orjson.loads(encode(value)))):
        assert canonical(read) == read


@pytest.mark.parametrize("name", sorted(VALUES))
def test_each_odd_value(name: str) -> None:
    """Each has its text and its lossy form, and spoils nothing of what stands beside it."""
    for text in (encode([VALUES[name](), "x"]), encode({"odd": [VALUES[name]()], "x": "x"})):
        shown = orjson.loads(text)
        assert shown[1 if isinstance(shown, list) else "x"] == "x"
    stored = storable({"odd": VALUES[name](), "x": "x"})
    assert canonical(stored) == stored
    assert stored["x"] == "x"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
@settings(derandomize=True)
def test_json_is_itself(value: Any) -> None:
    """Nothing that JSON can say is changed, whatever odd stands beside it."""
    assert orjson.loads(encode(value)) == value
    odd = orjson.loads(encode({"own": value, "odd": {(1,): 1}}))
    assert odd == {"own": value, "odd": {"(1,)": 1}}


class Color(enum.Enum):
    """An enum."""

    RED = "red"


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    _private: int = 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (Pair(1, 2), {"left": 1, "right": 2}),
        (Point(1), {"x": 1}),
        (Color.RED, "red"),
        (b"a\xff", "a\ufffd"),
        ("a\ud800b", "a\ufffdb"),
        ("\U0001f600", "\U0001f600"),
        ("a\0b", "a\0b"),
        (float("nan"), None),
        ([float("inf"), {(1,): float("-inf")}], [None, {"(1,)": None}]),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.timedelta(minutes=1), 60.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (ValueError("x"), "ValueError('x')"),
        (np.arange(4).reshape(2, 2)[:, ::-1], [[1, 0], [3, 2]]),
        (np.float64(0.5), 0.5),
        ({1: "a", True: "b", None: "c", 2.5: "d"}, {"1": "b", "null": "c", "2.5": "d"}),
        ({1: "a", "1": "b"}, {"1 (2)": "a", "1": "b"}),
        (
            {"a\ud800": 1, "a\udfff": 2, "a\ufffd": 3},
            {"a\ufffd (2)": 1, "a\ufffd (3)": 2, "a\ufffd": 3},
        ),
        ({Color.RED: 1, ("a", 1): 2}, {"red": 1, "('a', 1)": 2}),
        (
            {dt.date(2026, 1, 2): 1, uuid.UUID(int=1): 2},
            {"2026-01-02": 1, str(uuid.UUID(int=1)): 2},
        ),
    ],
)
def test_what_values_become(value: Any, shown: Any) -> None:
    """Each kind has one form, alone and beside what JSON cannot say."""
    assert orjson.loads(encode(value)) == shown
    assert orjson.loads(encode([value, 2**70]))[0] == shown


def mark(*identity: str, text: str | None) -> dict[str, Any]:
    """Return what stands for what JSON cannot say, as LangChain's `dumps` marks it."""
    return {"lc": 1, "type": "not_implemented", "id": [*identity], "repr": text}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**70, mark("builtins", "int", text=str(2**70))),
        (1j, mark("builtins", "complex", text="1j")),
        (range(3), mark("builtins", "range", text="range(0, 3)")),
        (VALUES["raises"](), mark("tests", "integration", "served", "odd", "Raises", text=None)),
        (VALUES["exits"](), mark("tests", "integration", "served", "odd", "Exits", text=None)),
        (VALUES["nameless"](), mark("unknown", "Nameless", text=None)),
        (VALUES["circular list"](), [mark("builtins", "list", text="it contains itself")]),
        (VALUES["circular dict"](), {"a": mark("builtins", "dict", text="it contains itself")}),
    ],
)
def test_what_json_cannot_say_is_marked(value: Any, shown: Any) -> None:
    """The mark names the class, and the repr where there is one; what stands around it stays."""
    assert orjson.loads(encode(value)) == shown
    assert orjson.loads(encode({"a": [value, HumanMessage("x", id="1")]}))["a"][0] == shown


def test_integers_of_any_length() -> None:
    """Python does not write out ten thousand digits, but the mark is there."""
    shown = orjson.loads(encode(10**10_000))
    assert shown["repr"].startswith("0x")
    assert len(shown["repr"]) <= 1_000


def test_a_generator_is_not_used_up() -> None:
    """What can be read once only is not read."""
    numbers = (n for n in range(3))
    encode([numbers])
    assert [*numbers] == [0, 1, 2]


@pytest.mark.parametrize("depth", [99, 150, 250, 300, 3_000, 100_000])
def test_depth(depth: int) -> None:
    """However deep: what is cut off is marked, and storage takes the rest."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    orjson.loads(encode(value))
    canonical(storable(value))


def test_many_keys_of_one_name() -> None:
    """Each key keeps its item, and the work grows with their number only."""
    shown = orjson.loads(encode({VALUES["object"](): n for n in range(2_000)} | {(1,): 0}))
    assert len(shown) == 2_001
    same = {type("Key", (), {"__repr__": lambda _: "key"})(): n for n in range(2_000)}
    assert [*orjson.loads(encode(same)).values()] == [*range(2_000)]


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_can_be_told(name: str) -> None:
    """Whatever was raised, its type and its text can be stored and sent."""
    told = error_of(ERRORS[name]())
    assert canonical(told) == told
    assert len(told["message"]) <= MAX_MESSAGE
    assert told["error"]
    assert node_of(ERRORS[name]()) is None


@pytest.mark.parametrize("text", ["", "abc", "aé", "\U0001f600", "\ud83d\ude00", "a\ud800"])
def test_clean_text_can_be_sent(text: str) -> None:
    """A lone surrogate becomes U+FFFD, a pair the character that it means."""
    assert "\ud800" not in clean(text)
    clean(text).encode()
    if text != "\ud83d\ude00":
        assert len(clean(text)) == len(text)
