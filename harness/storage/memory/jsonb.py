"""What PostgreSQL's jsonb operators answer, on Python's JSON values in canonical form.

Copying, equality, containment (`@>`) and the conditions of item filters. Python would call `True`
and `1` equal; jsonb does not.
"""

import operator
from collections.abc import Callable
from typing import Any, Final

from harness.models import Json
from harness.storage.filters import Condition

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_ORDERED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def copied(value: Any) -> Any:
    """Return a copy that shares no list and no object with `value`."""
    if type(value) is dict:
        return {
            key: item if type(item) in _SCALARS else copied(item) for key, item in value.items()
        }
    if type(value) is list:
        return [item if type(item) in _SCALARS else copied(item) for item in value]
    return value


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same to jsonb: numbers as numbers, types apart."""
    if type(left) is dict:
        return (
            type(right) is dict
            and left.keys() == right.keys()
            and all(equal(item, right[key]) for key, item in left.items())
        )
    if type(left) is list:
        return (
            type(right) is list
            and len(left) == len(right)
            and all(equal(item, other) for item, other in zip(left, right, strict=True))
        )
    return (type(left) is bool) == (type(right) is bool) and bool(left == right)


def contains(container: Any, wanted: Any) -> bool:
    """Whether `container @> wanted`.

    Objects contain objects key by key, arrays contain arrays as sets; see "jsonb Containment and
    Existence" in PostgreSQL's manual. (The manual's one exception, an array that contains a bare
    scalar, exists at the top level only, where we always have objects.)
    """
    if type(wanted) is dict:
        return type(container) is dict and all(
            key in container and contains(container[key], item) for key, item in wanted.items()
        )
    if type(wanted) is list:
        return type(container) is list and all(
            any(contains(candidate, item) for candidate in container) for item in wanted
        )
    return equal(container, wanted)


def matches(value: Json, condition: Condition) -> bool:
    """Whether an item's value meets a condition; a key that is not there is null."""
    found: Any = value
    for key in condition.path:
        found = found.get(key) if type(found) is dict else None
    operand = condition.operand
    if condition.operator == "$eq":
        return equal(found, operand)
    if condition.operator == "$ne":
        return not equal(found, operand)
    return _kind(found) == _kind(operand) and _ORDERED[condition.operator](found, operand)


def _kind(value: Any) -> str:
    if type(value) is str:
        return "string"
    return "number" if type(value) in (int, float) else "other"
