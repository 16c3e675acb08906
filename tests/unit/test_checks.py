"""Checks of plain arguments."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InvalidInput
from harness.storage import checks

Fruit = Literal["apple", "pear"]
LONG = "\u00e9" * 1_000


REFUSED: list[Callable[[], Any]] = [
    lambda: checks.check_owner(""),
    lambda: checks.check_owner(None),
    lambda: checks.check_owner("x" * 256),
    lambda: checks.check_name("\u00e9" * 1_001, "name"),
    lambda: checks.check_name("a\x00", "name"),
    lambda: checks.check_ids("not a list", "thread"),
    lambda: checks.check_choice("plum", Fruit, "fruit"),
    lambda: checks.check_choice(["apple"], Fruit, "fruit"),
    lambda: checks.check_flag(1, "flag"),
    lambda: checks.check_integer(True, "limit"),
    lambda: checks.check_integer(1.0, "limit"),
    lambda: checks.check_integer(-1, "limit"),
    lambda: checks.check_integer(2**63, "limit"),
    lambda: checks.check_integer(10**5_000, "limit"),
    lambda: checks.check_number(10**5_000, "ttl", high=9),
    lambda: checks.check_number(True, "ttl", high=9),
    lambda: checks.check_number("1", "ttl", high=9),
    lambda: checks.check_number(0, "ttl", high=9),
    lambda: checks.check_number(float("nan"), "ttl", high=9),
    lambda: checks.check_number(float("inf"), "ttl", high=9),
    lambda: checks.check_number(10**400, "ttl", high=9),
    lambda: checks.check_time("2026-01-01", "end_time"),
    lambda: checks.check_time(datetime(2026, 1, 1), "end_time"),  # noqa: DTZ001 -- the point
    lambda: checks.check_labels("ab", "namespace"),
    lambda: checks.check_labels(["a"] * 33, "namespace"),
    lambda: checks.check_labels(["a", ""], "namespace"),
    lambda: checks.check_labels(["a.b"], "namespace"),
    lambda: checks.check_labels(["a\ud800"], "namespace"),
    lambda: checks.check_labels([1], "namespace"),
    lambda: checks.check_labels(None, "namespace"),
    lambda: checks.check_namespace([]),
    lambda: checks.check_namespace(["langgraph", "a"]),
    lambda: checks.check_address(["a"], ""),
    lambda: checks.check_address([LONG], "k"),
]


@given(st.uuids())
def test_ids_have_one_form(identity: UUID) -> None:
    """A UUID in capitals is the same id."""
    assert checks.check_id(str(identity).upper(), "thread") == str(identity)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "abc",
        "{6f2c1c1e-0000-4000-8000-000000000000}",
        "6f2c1c1e000040008000000000000000",
        "6f2c1c1e-0000-4000-8000-000000000000\n",
        UUID(int=1),
    ],
)
def test_ids_are_uuids(value: Any) -> None:
    """Anything else is refused, in the official server's words."""
    with pytest.raises(InvalidInput, match="Invalid thread ID: must be a UUID"):
        checks.check_id(value, "thread")


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused(number: int) -> None:
    """What a backend could not keep is refused before it sees it."""
    with pytest.raises(InvalidInput):
        REFUSED[number]()


def test_time_is_in_utc() -> None:
    """A time with a zone becomes the same moment in UTC."""
    given_ = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    checked = checks.check_time(given_, "end_time")
    assert checked == given_
    assert checked.tzinfo is UTC


def test_time_out_of_range() -> None:
    """A time that UTC has no year for is refused."""
    with pytest.raises(InvalidInput, match="out of range"):
        checks.check_time(datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "end_time")


def test_address_of_2000_bytes() -> None:
    """Namespace and key hold 2,000 bytes together, not characters."""
    assert checks.check_address(["\u00e9" * 999], "kk") == (("\u00e9" * 999,), "kk")
    with pytest.raises(InvalidInput, match="not 2001"):
        checks.check_address(["\u00e9" * 999], "kkk")


def test_reserved_root_is_the_root_only() -> None:
    """`langgraph` is reserved as a first label, and as no other."""
    assert checks.check_namespace(["a", "langgraph"]) == ("a", "langgraph")
