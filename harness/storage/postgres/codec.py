"""JSON and times between Python and Postgres, in canonical form (`harness.storage.values`).

JSON travels as text, both ways, so that nothing depends on how a connection is set up.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from harness.storage.values import INT_MAX

_UINT_END: Final = float(2**64)
_EXPONENTS: Final = (b"e+18", b"e+19", b"e18", b"e19")  # as newer and older orjson write them


def dumps(value: Any) -> str:
    """Return canonical JSON as text for a `jsonb` parameter.

    A float from 2**63 up to 2**64 is written in full with a fraction (`10000000000000000000.0`):
    jsonb keeps the fraction, and by it `loads` knows a float. (Larger ones it knows by their size.)
    """
    text = orjson.dumps(value)
    if any(exponent in text for exponent in _EXPONENTS):
        text = orjson.dumps(_marked(value))
    return text.decode()


def loads(text: str) -> Any:
    """Return the value of a `jsonb` column that was selected as text."""
    return orjson.loads(text)


def utc(moment: datetime) -> datetime:
    """Return a time in UTC, whatever time zone the session has."""
    return moment.astimezone(UTC)


def utc_or_none(moment: datetime | None) -> datetime | None:
    """Return a time in UTC, or None."""
    return None if moment is None else moment.astimezone(UTC)


def _marked(value: Any) -> Any:
    if isinstance(value, float) and INT_MAX < value < _UINT_END:
        return orjson.Fragment(f"{int(value)}.0")
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value
