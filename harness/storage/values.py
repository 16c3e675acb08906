"""The one canonical form of a JSON value, and the copy that makes it.

Everything that goes into a store passes through `canonical`, so every backend keeps and returns
the same thing. The form is what PostgreSQL's jsonb can give back:

- `null`, `true`, numbers, strings, lists and objects keep their types: `"123"`, `123`, `123.0` and
  `true` stay apart. Tuples become lists.
- `-0.0` becomes `0.0`. A float of integral value from 1e16 up becomes the integer it equals where
  that fits in 64 bits, since jsonb writes both alike; beyond 64 bits it stays a float.
- NUL, lone surrogates, NaN, infinity, integers outside 64 bits, keys that are not strings, other
  types, and nesting deeper than `MAX_DEPTH` are refused.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from harness.errors import InvalidInput
from harness.models import Json

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
MAX_DEPTH: Final = 100
_EXPONENT_FROM: Final = 1e16  # Python writes a float of this size or more with an exponent


def canonical(value: Any) -> Any:
    """Return a copy of a JSON value in canonical form.

    Raises:
        InvalidInput: It cannot be stored; the message says where and why.
    """
    return _copy(value, 0)


def canonical_object(value: Mapping[str, Any] | None, name: str) -> Json:
    """Return a canonical copy of a JSON object; None is the empty one.

    Raises:
        InvalidInput: It is not an object or cannot be stored; the message begins with `name`.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} must be an object, not {type(value).__name__}")
    try:
        copied: Json = _copy(value, 0)
    except _Refused as refused:
        raise InvalidInput(f"{name}{refused.path}: {refused.reason}") from None
    return copied


def check_text(value: Any, name: str) -> str:
    """Return `value` if it is a string that Postgres can store.

    Raises:
        InvalidInput: It is not a string, or has a NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string, not {type(value).__name__}")
    problem = _text_problem(value)
    if problem:
        raise InvalidInput(f"{name}: {problem}")
    return str.__str__(value)  # of an enum's member: the text that it is, not its name


def canonical_float(value: float) -> float | int:
    """Return the canonical form of a finite float."""
    if value == 0:
        return 0.0
    if abs(value) >= _EXPONENT_FROM and value.is_integer():
        whole = int(value)
        if INT_MIN <= whole <= INT_MAX:
            return whole
    return value


class _Refused(InvalidInput):
    """A value that cannot be stored, with the way to it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def inside(self, step: str) -> "_Refused":
        self.path = step + self.path
        self.args = (f"value{self.path}: {self.reason}",)
        return self


def _copy(value: Any, depth: int) -> Any:  # noqa: PLR0911 -- one return a JSON type
    kind = type(value)
    if kind is str:
        return _copy_text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _copy_int(value)
    if kind is float:
        return _copy_float(value)
    if kind is dict or isinstance(value, Mapping):
        return _copy_object(value, depth)
    if isinstance(value, list | tuple):
        return _copy_list(value, depth)
    return _copy_subclass(value)


def _copy_object(value: Mapping[Any, Any], depth: int) -> Json:
    if depth >= MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels")
    copied: Json = {}
    for key, item in value.items():
        try:
            if not isinstance(key, str):
                raise _Refused(f"keys must be strings, not {type(key).__name__}")  # noqa: TRY301 -- gains its path below; one error tree
            copied[_copy_text(str.__str__(key))] = _copy(item, depth + 1)
        except _Refused as refused:
            raise refused.inside(f"[{key!r}]") from None
    return copied


def _copy_list(value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels")
    copied = []
    for index, item in enumerate(value):
        try:
            copied.append(_copy(item, depth + 1))
        except _Refused as refused:
            raise refused.inside(f"[{index}]") from None
    return copied


def _copy_subclass(value: Any) -> Any:
    """Copy an instance of a subclass of a JSON type (an enum, say) as that type."""
    if isinstance(value, str):
        return _copy_text(str.__str__(value))
    if isinstance(value, int):
        return _copy_int(int(value))
    if isinstance(value, float):
        return _copy_float(float(value))
    raise _Refused(f"{type(value).__name__} is not a JSON type")


def _copy_text(value: str) -> str:
    problem = _text_problem(value)
    if problem:
        raise _Refused(problem)
    return value


def _copy_int(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise _Refused("integers must fit in 64 bits")
    return value


def _copy_float(value: float) -> float | int:
    if not math.isfinite(value):
        raise _Refused(f"{value} is not a JSON number")
    return canonical_float(value)


def _text_problem(value: str) -> str | None:
    if "\x00" in value:
        return "text must not hold NUL characters"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "text must not hold lone surrogates"
    return None
