"""Checks of the plain arguments, the same for every backend, before anything is written."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

from harness.errors import InvalidInput
from harness.storage.values import INT_MAX, check_text

MAX_LIMIT: Final = 1_000
MAX_ITEM_ADDRESS_BYTES: Final = 2_000
MAX_LABELS: Final = 32  # each costs eight bytes in the index beside its text
MAX_NAME_BYTES: Final = 2_000
MAX_OWNER_BYTES: Final = 255
RESERVED_ROOT: Final = "langgraph"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def check_owner(owner: Any) -> str:
    """Return the owner: a string that is not empty."""
    return check_name(owner, "owner", max_bytes=MAX_OWNER_BYTES)


def check_name(value: Any, name: str, *, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return a text of 1 to `max_bytes` bytes in UTF-8."""
    text = check_text(value, name)
    if not text:
        raise InvalidInput(f"{name} must not be empty")
    if len(text.encode()) > max_bytes:
        raise InvalidInput(f"{name} must be at most {max_bytes} bytes long")
    return text


def check_id(value: Any, kind: str) -> str:
    """Return a UUID in canonical text form.

    Raises:
        InvalidInput: It is not a string of 36 characters that writes a UUID.
    """
    if not isinstance(value, str) or not _UUID.match(value):
        raise InvalidInput(f"Invalid {kind} ID: must be a UUID, not {_shown(value)}")
    return value.lower()


def check_ids(values: Any, kind: str) -> tuple[str, ...] | None:
    """Return several ids, or None for "no restriction"."""
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidInput(f"{kind} IDs must be a list of UUIDs")
    return tuple(check_id(value, kind) for value in values)


def check_choice(value: Any, literal: Any, name: str) -> Any:
    """Return a value of a `typing.Literal`."""
    options = get_args(literal)
    if not isinstance(value, str) or value not in options:
        raise InvalidInput(f"{name} must be one of {', '.join(options)}, not {_shown(value)}")
    return value


def check_flag(value: Any, name: str) -> bool:
    """Return a bool."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false, not {_shown(value)}")
    return value


def check_integer(value: Any, name: str, *, low: int = 0, high: int = INT_MAX) -> int:
    """Return a whole number between `low` and `high`, both included; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(
            f"{name} must be a whole number from {low} to {high}, not {_shown(value)}"
        )
    return int(value)


def check_number(
    value: Any, name: str, *, high: float, low: float = 0.0, or_zero: bool = False
) -> float:
    """Return a number above `low` (or 0, with `or_zero`) and up to `high`; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name} must be a number, not {type(value).__name__}")
    if not (low < value <= high or (or_zero and value == 0)):
        raise InvalidInput(
            f"{name} must be above {low:g} and at most {high:g}, not {_shown(value)}"
        )
    return float(value)


def check_time(value: Any, name: str) -> datetime:
    """Return a timezone-aware time in UTC."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidInput(f"{name} must be a datetime with a timezone")
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        raise InvalidInput(f"{name} is out of range") from exc


def check_labels(labels: Any, name: str) -> tuple[str, ...]:
    """Return namespace labels: strings that are not empty and have no dot.

    Raises:
        InvalidInput: As the SDK and LangGraph's BaseStore refuse them.
    """
    if isinstance(labels, str) or not isinstance(labels, Sequence):
        raise InvalidInput(f"{name} must be a list of labels")
    if len(labels) > MAX_LABELS:
        raise InvalidInput(f"{name} must have at most {MAX_LABELS} labels, not {len(labels)}")
    checked = tuple(check_text(label, f"{name} label") for label in labels)
    for label in checked:
        if not label:
            raise InvalidInput(f"{name} labels must not be empty")
        if "." in label:
            raise InvalidInput(f"{name} labels must not contain '.', as {_shown(label)} does")
    return checked


def check_namespace(namespace: Any) -> tuple[str, ...]:
    """Return the namespace of an item: at least one label, the first not `langgraph`."""
    labels = check_labels(namespace, "namespace")
    if not labels:
        raise InvalidInput("namespace must not be empty")
    if labels[0] == RESERVED_ROOT:
        raise InvalidInput(f"the root label {RESERVED_ROOT!r} is reserved")
    return labels


def check_address(namespace: Any, key: Any) -> tuple[tuple[str, ...], str]:
    """Return where an item lies; namespace and key together hold at most 2,000 bytes."""
    labels, text = check_namespace(namespace), check_text(key, "key")
    if not text:
        raise InvalidInput("key must not be empty")
    size_bytes = sum(len(part.encode()) for part in (*labels, text))
    if size_bytes > MAX_ITEM_ADDRESS_BYTES:
        raise InvalidInput(
            f"namespace and key together must be at most {MAX_ITEM_ADDRESS_BYTES} bytes, "
            f"not {size_bytes}"
        )
    return labels, text


def _shown(value: Any) -> str:
    """Return the beginning of a value's repr; Python writes out no integer of 4,300 digits."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        return f"a very long {type(value).__name__}"
