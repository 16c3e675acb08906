"""The canonical form of JSON values."""

import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.stateful.strategies import JSON, UNSTORABLE
from harness.errors import InvalidInput
from harness.storage.values import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    canonical,
    canonical_object,
    check_text,
)


class Colour(str, enum.Enum):  # noqa: UP042 -- the mixture that StrEnum replaced is still about
    """A string in disguise."""

    RED = "red"


def storable(value: Any) -> bool:
    """Tell whether a generated value can be stored."""
    try:
        canonical(value)
    except InvalidInput:
        return False
    return True


def typed(value: Any) -> str:
    """Return text that tells `1`, `1.0`, `-0.0`, `true` and `"1"` apart."""
    return json.dumps(value, sort_keys=True)


@given(JSON.filter(storable))
def test_canonical_is_idempotent(value: Any) -> None:
    """The canonical form of a canonical form is itself."""
    once = canonical(value)
    assert typed(canonical(once)) == typed(once)


@given(JSON.filter(storable))
def test_canonical_survives_json(value: Any) -> None:
    """Written as JSON and read again, a canonical value has not changed, types included."""
    once = canonical(value)
    assert typed(json.loads(json.dumps(once))) == typed(once)


@given(JSON.filter(storable))
def test_canonical_equals_what_was_given(value: Any) -> None:
    """The canonical form is equal, in Python's sense, to what was given."""
    assert canonical(value) == value


@given(st.recursive(st.just(1), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_canonical_is_a_copy(value: Any) -> None:
    """No list and no object of the copy is one of the given value's."""

    def containers(found: Any) -> set[int]:
        if not isinstance(found, dict | list):
            return set()
        inner = found.values() if isinstance(found, dict) else found
        return {id(found)}.union(*map(containers, inner))

    if storable(value):
        copy = canonical(value)
        assert not containers(copy) & containers(value)


@given(
    UNSTORABLE,
    st.sampled_from(
        [lambda v: v, lambda v: [1, v], lambda v: {"a": v}, lambda v: {"a": [{"b": v}]}]
    ),
)
def test_refused_wherever_it_stands(value: Any, wrap: Any) -> None:
    """What cannot be stored is refused at any depth."""
    with pytest.raises(InvalidInput):
        canonical(wrap(value))


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (-0.0, "0.0"),
        (1e16, "10000000000000000"),
        (-1e18, "-1000000000000000000"),
        (2.0**63, "9.223372036854775808e+18"),
        (-(2.0**63), "-9223372036854775808"),
        (1e15, "1000000000000000.0"),
        (1e300, "1e+300"),
        (True, "true"),
        ((1, (2,)), "[1, [2]]"),
        (Colour.RED, '"red"'),
        ({Colour.RED: Colour.RED}, '{"red": "red"}'),
        (INT_MAX, str(INT_MAX)),
        (INT_MIN, str(INT_MIN)),
    ],
)
def test_canonical_forms(given_: Any, kept: str) -> None:
    """Where jsonb cannot keep a value as given, one form stands for it."""
    assert typed(canonical(given_)) == typed(json.loads(kept))


def test_subclasses_become_plain() -> None:
    """A string or key of a subclass comes out as a plain string."""
    [(key, value)] = canonical({Colour.RED: Colour.RED}).items()
    assert (type(key), type(value)) == (str, str)
    assert type(check_text(Colour.RED, "name")) is str
    assert check_text(Colour.RED, "name") == "red"


def test_depth() -> None:
    """Nesting is kept to `MAX_DEPTH` levels, and refused from the next one on."""

    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    assert canonical(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(InvalidInput, match="nested deeper than 100 levels"):
        canonical(nested(MAX_DEPTH + 1))


def test_cycle() -> None:
    """A list that holds itself is refused for its depth."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="nested deeper"):
        canonical(endless)


def test_error_names_the_place() -> None:
    """The message says where the value stands and what is wrong with it."""
    with pytest.raises(InvalidInput) as caught:
        canonical_object({"a": [{"b": math.nan}]}, "metadata")
    assert str(caught.value) == "metadata['a'][0]['b']: nan is not a JSON number"


@pytest.mark.parametrize("value", [[], "text", 1, [("a", 1)]])
def test_object_is_an_object(value: Any) -> None:
    """Where an object is wanted, nothing else will do."""
    with pytest.raises(InvalidInput, match="config must be an object"):
        canonical_object(value, "config")
