"""The filter language of item search, parsed once for every backend.

`{"kind": "note", "size": {"$gt": 3, "$lte": 9}, "author": {"name": "Ada"}}` asks for all of its
conditions at once. A plain object goes one level deeper; an object whose keys begin with `$` holds
operators. One rule treats absence: a key that is not there is null.

- `$eq` and `$ne` compare JSON values, numbers as numbers (`1` equals `1.0`, `true` does not).
- `$gt`, `$gte`, `$lt`, `$lte` compare numbers with numbers and strings with strings (by code
  point); anything else does not match.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, get_args

from harness.errors import InvalidInput
from harness.models import Json
from harness.storage.values import canonical_object

MAX_CONDITIONS: Final = 1_000
"""Each is a part of the statement, which the database plans anew."""

Operator = Literal["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of the value under `path` (object keys, outermost first)."""

    path: tuple[str, ...]
    operator: Operator
    operand: Any


def parse_filter(filter: Mapping[str, Any] | None) -> tuple[Condition, ...]:  # noqa: A002 -- the SDK's name
    """Return the conditions of a filter, all of which must hold.

    Raises:
        InvalidInput: An operator is unknown, stands among keys, or cannot compare its operand; or
            there are too many conditions.
    """
    conditions = _conditions((), canonical_object(filter, "filter"))
    found = tuple(islice(conditions, MAX_CONDITIONS + 1))
    if len(found) > MAX_CONDITIONS:
        raise InvalidInput(f"filter: there are more than {MAX_CONDITIONS} conditions")
    return found


def _conditions(path: tuple[str, ...], wanted: Json) -> Iterator[Condition]:
    for key, operand in wanted.items():
        if key.startswith("$"):
            raise InvalidInput(f"filter: operator {key!r} must stand inside a key's object")
        here = (*path, key)
        if not isinstance(operand, dict) or not operand:
            yield Condition(here, "$eq", operand)
        elif any(name.startswith("$") for name in operand):
            yield from (_comparison(here, name, value) for name, value in operand.items())
        else:
            yield from _conditions(here, operand)


def _comparison(path: tuple[str, ...], name: str, operand: Any) -> Condition:
    for operator in get_args(Operator):
        if name == operator:
            ordered = operator not in {"$eq", "$ne"}
            if ordered and (
                isinstance(operand, bool) or not isinstance(operand, str | int | float)
            ):
                raise InvalidInput(f"filter: {name} compares numbers and strings only")
            return Condition(path, operator, operand)
    raise InvalidInput(
        f"filter: unknown operator {name!r}; use one of {', '.join(get_args(Operator))}"
    )
