"""Turns parsed JSON back into frozen dataclasses, refusing whatever does not fit their types."""

import dataclasses
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.errors import ResultsError


def decode(kind: Any, value: Any, where: str = "") -> Any:  # noqa: PLR0911 -- one return a kind of type
    """Return `value` as the type `kind`.

    Fields that have a default may be missing; fields that the dataclass does not know are refused.

    Args:
        kind: A dataclass, `list[…]`, `dict[str, …]`, `tuple[…]` of fixed length, an optional type,
            a `Literal`, or one of str, int, float, bool, datetime.
        value: What `json.loads` made.
        where: The way to `value`, for the message.

    Raises:
        ResultsError: It does not fit; the message says where.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, where)
    if origin in {Union, UnionType}:
        [inner] = [argument for argument in arguments if argument is not NoneType]
        return None if value is None else decode(inner, value, where)
    if origin is list and isinstance(value, list):
        return [decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        return tuple(
            decode(argument, item, f"{where}[{i}]")
            for i, (argument, item) in enumerate(zip(arguments, value, strict=True))
        )
    if origin is Literal and value in arguments:
        return value
    if origin is None:
        return _plain(kind, value, where)
    raise ResultsError(f"{where} is not what it should be")


def _record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ResultsError(f"{where or 'the file'} is not an object")
    hints = _hints(kind)
    unknown = sorted(value.keys() - hints.keys())
    if unknown:
        raise ResultsError(f"{where}.{unknown[0]} is unknown")
    try:
        return kind(
            **{key: decode(hints[key], item, f"{where}.{key}") for key, item in value.items()}
        )
    except TypeError as exc:  # a field is missing
        raise ResultsError(f"{where or 'the file'} is not complete: {exc}") from exc


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is datetime and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError as exc:
            raise ResultsError(f"{where} is not a time") from exc
    if kind is float and type(value) in {int, float}:
        return float(value)
    if kind is type(value):
        return value
    raise ResultsError(f"{where} is not of type {kind.__name__}")
