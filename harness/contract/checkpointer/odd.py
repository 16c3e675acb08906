"""Values that JSON or Postgres cannot hold: a saver keeps each, or says that it refuses it."""

from typing import Any, Final

NAN: Final = float("nan")

ODD: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "NaN in metadata": ({"odd": NAN}, {}),
    "infinity in metadata": ({"odd": [float("-inf")]}, {}),
    "NUL deep in metadata": ({"odd": {"a": "x\0y"}}, {}),
    "NUL in a key of metadata": ({"odd": {"x\0y": 1}}, {}),
    "NaN channel": ({}, {"c": NAN}),
    "NUL in a text channel": ({}, {"c": "x\0y"}),
    "NaN deep in a channel": ({}, {"c": [NAN]}),
    "NUL deep in a channel": ({}, {"c": {"a": "x\0y"}}),
}
"""Metadata and channel values of a checkpoint, by what is odd about them."""
