"""Which values of a checkpoint lie in its own row, as jsonb, and which are blobs beside it."""

import math
from collections.abc import Mapping
from typing import Any, Final

from langgraph.checkpoint.base import ChannelVersions
from langgraph.checkpoint.serde.types import _DeltaSnapshot

_MOST_BITS: Final = 4096
"""Of integers in jsonb: Python reads no more than 4,300 digits."""


def divided(values: Mapping[str, Any], *, hides: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what stands in the checkpoint's own row, and what becomes blobs.

    A delta channel's snapshot is a blob, and is marked in the checkpoint.
    """
    inline: dict[str, Any] = {}
    apart: dict[str, Any] = {}
    for name, value in values.items():
        if not hides and _is_exact(value):
            inline[name] = value
        else:
            apart[name] = value
            if isinstance(value, _DeltaSnapshot):
                inline[name] = True
    return inline, apart


def scalars(values: Mapping[str, Any], versions: ChannelVersions) -> ChannelVersions:
    """Return the versions of those values that other serializers leave inline."""
    return {
        name: versions[name]
        for name, value in values.items()
        if name in versions and (value is None or isinstance(value, str | int | float))
    }


def _is_exact(value: Any) -> bool:
    """Tell whether jsonb returns a value as it is, its type included.

    Its numbers have no signed zero, and no exponent: a large float would come back as an integer.
    """
    kind = type(value)
    if kind is str:
        return "\0" not in value and (value.isascii() or _is_unicode(value))
    if kind is int:
        return bool(value.bit_length() <= _MOST_BITS)
    if kind is float:
        return abs(value) < 1e16 and (value != 0 or math.copysign(1, value) > 0)
    return value is None or kind is bool


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
