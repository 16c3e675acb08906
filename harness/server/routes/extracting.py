"""Paths into a thread, such as `values.messages[-1].content`, and what lies at their end."""

import re
from collections.abc import Mapping
from typing import Any, Final

from harness.errors import InvalidInput

_PATH: Final = re.compile(r"\w+(?:\.[\w-]+|\[-?\d{1,9}\])*")
_STEP: Final = re.compile(r"([\w-]+)|\[(-?\d+)\]")

Step = str | int


def steps_of(path: str) -> list[Step]:
    """Return the keys and indices of a path.

    Raises:
        InvalidInput: It is none.
    """
    if not _PATH.fullmatch(path):
        raise InvalidInput(f"extract: {path!r:.80} is no path such as values.messages[-1]")
    return [key or int(index) for key, index in _STEP.findall(path)]


def extracted(row: Mapping[str, Any], paths: Mapping[str, list[Step]]) -> dict[str, Any]:
    """Return what a row has at each path, by the path's name; None where it has nothing."""
    return {name: _at(row, steps) for name, steps in paths.items()}


def _at(value: Any, steps: list[Step]) -> Any:
    for step in steps:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value
