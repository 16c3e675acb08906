"""What a handler returns to restrict a caller to some rows: conditions on their metadata.

`{"owner": "ada"}`, `{"owner": {"$eq": "ada"}}`, `{"readers": {"$contains": "ada"}}` and
`{"readers": {"$contains": ["ada", "bob"]}}`, as `langgraph_sdk.auth.types.FilterType` has them; all
must hold.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from harness.errors import InvalidInput

Scalar: TypeAlias = str | int | float | bool
Filter: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""What each field must be; of a list, what it must contain."""


def filter_of(given: Mapping[Any, Any]) -> Filter:
    """Return what a handler's filter says.

    Raises:
        InvalidInput: It says nothing that rows can be asked about.
    """
    return {_name(name): _condition(name, value) for name, value in given.items()}


def matches(metadata: Mapping[str, Any], wanted: Filter) -> bool:
    """Whether a row's metadata are what a filter wants."""
    return all(_holds(metadata.get(name), condition) for name, condition in wanted.items())


def within(metadata: Mapping[str, Any] | None, wanted: Filter) -> dict[str, Any] | None:
    """Return what metadata must contain so that they match a filter too; None: none can.

    Args:
        metadata: What they are to contain otherwise.
        wanted: The filter.
    """
    both: dict[str, Any] = dict(metadata or {})
    for name, condition in wanted.items():
        if isinstance(condition, list):
            before = both.get(name, [])
            if not isinstance(before, list):
                return None
            both[name] = [*before, *condition]
        elif name in both and not _is_same(both[name], condition):
            return None
        else:
            both[name] = condition
    return both


def _name(name: Any) -> str:
    if not isinstance(name, str) or name.startswith("$"):
        raise InvalidInput(f"a filter has no field {name!r}")
    return name


def _condition(name: str, value: Any) -> Scalar | list[Scalar]:
    if isinstance(value, Scalar):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        [(operator, operand)] = value.items()
        if operator == "$eq" and isinstance(operand, Scalar):
            return operand
        if operator == "$contains":
            found = list(operand) if isinstance(operand, list | tuple | set) else [operand]
            if all(isinstance(each, Scalar) for each in found):
                return found
    raise InvalidInput(f"a filter cannot ask that {name} be {value!r}; it knows $eq and $contains")


def _holds(value: Any, condition: Scalar | Sequence[Scalar]) -> bool:
    if not isinstance(condition, list):
        return _is_same(value, condition)
    return isinstance(value, list) and all(
        any(_is_same(each, wanted) for each in value) for wanted in condition
    )


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON, where true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
