"""The filter language of item search."""

from typing import Any

import pytest

from harness.errors import InvalidInput
from harness.storage.filters import Condition, parse_filter
from harness.storage.memory.jsonb import matches


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, ()),
        ({}, ()),
        ({"a": 1}, (Condition(("a",), "$eq", 1),)),
        ({"a": None}, (Condition(("a",), "$eq", None),)),
        ({"a": {}}, (Condition(("a",), "$eq", {}),)),
        ({"a": [1]}, (Condition(("a",), "$eq", [1]),)),
        ({"a": {"b": {"c": 1}}}, (Condition(("a", "b", "c"), "$eq", 1),)),
        (
            {"a": {"$gt": 1, "$lte": 9}, "b": {"$ne": "x"}},
            (
                Condition(("a",), "$gt", 1),
                Condition(("a",), "$lte", 9),
                Condition(("b",), "$ne", "x"),
            ),
        ),
        ({"a": {"$eq": {"b": 1}}}, (Condition(("a",), "$eq", {"b": 1}),)),
    ],
)
def test_parsed(written: Any, meant: tuple[Condition, ...]) -> None:
    """Every way of writing a filter has one meaning."""
    assert parse_filter(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        [],
        "a",
        {"$eq": 1},
        {"a": {"$in": [1]}},
        {"a": {"$gt": 1, "b": 2}},
        {"a": {"$gt": True}},
        {"a": {"$lt": None}},
        {"a": {"$gte": [1]}},
        {"a": {"b": {"$no": 1}}},
        {"a": float("nan")},
    ],
)
def test_refused(written: Any) -> None:
    """What a filter cannot mean is refused."""
    with pytest.raises(InvalidInput):
        parse_filter(written)


@pytest.mark.parametrize(
    ("value", "written", "found"),
    [
        ({"a": 10}, {"a": {"$gt": 9}}, True),  # as text, "10" < "9"
        ({"a": "10"}, {"a": {"$gt": "9"}}, False),
        ({"a": "10"}, {"a": {"$gt": 9}}, False),
        ({"a": True}, {"a": {"$gte": 0}}, False),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": True}, {"a": 1}, False),
        ({}, {"a": None}, True),
        ({}, {"a": {"$ne": 1}}, True),
        ({}, {"a": {"$ne": None}}, False),
        ({}, {"a": {"$lt": 1}}, False),
        ({"a": [5]}, {"a": {"0": 5}}, False),  # an index is no key
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1, "c": 2}}, {"a": {"$eq": {"b": 1}}}, False),
    ],
)
def test_meaning(value: Any, written: Any, found: bool) -> None:
    """Numbers compare as numbers, types stay apart, and what is not there is null."""
    assert all(matches(value, condition) for condition in parse_filter(written)) is found
