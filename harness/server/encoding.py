"""JSON of what storage, LangGraph, LangChain and users' graphs hand out, whatever that is.

JSON text is made of any Python value; nothing in it makes that fail:

- Messages and other Pydantic models, dataclasses and named tuples are their fields. Sets and
  deques are lists, errors and paths their text, decimals their digits, time spans their seconds,
  enums their values, numpy arrays and numbers what they hold, bytes are read as UTF-8.
- Times are ISO 8601. NaN and infinities are `null`.
- What text cannot hold, a lone surrogate, becomes U+FFFD.
- Keys that are no text become it: `1`, `true` and `null` as in JSON, others by their repr. If two
  keys of an object would then be the same, the later one gets a number: `1 (2)`.
- Whatever else JSON cannot say becomes the mark that LangChain's own `dumps` leaves there:
  `{"lc": 1, "type": "not_implemented", "id": [module…, class], "repr": text or null}`. Such are
  integers beyond 64 bits, what contains itself, what is nested too deeply, and objects of any other
  class, or whose own code fails when they are read.
"""

import dataclasses
import math
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel

from harness.storage.values import INT_MAX, INT_MIN
from harness.storage.values import MAX_DEPTH as STORED_DEPTH

_OPTIONS: Final = (
    orjson.OPT_SERIALIZE_NUMPY
    # Of these orjson 3.13 reads attributes itself; one that raises ends the process.
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_MAX_REPR: Final = 1_000
"""Characters of a repr that a mark shows."""
_MOMENTS: Final = (date, time)
_NOT_OURS: Final = (KeyboardInterrupt, CancelledError)
"""What ends this process or this task, and is no value's own error."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What may stand in JSON."""

    depth: int
    """How deep lists and objects may be nested."""
    greatest: int
    """The greatest integer."""
    nul: bool
    """Whether text may hold NUL characters."""


_SHOWN: Final = _Form(depth=200, greatest=2**64 - 1, nul=True)
"""What orjson writes; it gives up at a depth of 254."""
_STORED: Final = _Form(depth=STORED_DEPTH - 2, greatest=INT_MAX, nul=False)
"""What storage takes; a mark has two levels of its own."""


def encode(value: Any) -> str:
    """Return JSON text of any value."""
    try:
        return orjson.dumps(value, default=_known, option=_OPTIONS).decode()
    except Exception:  # noqa: BLE001 -- whatever the value's own code raises
        return orjson.dumps(_Reader(_SHOWN).read(value)).decode()


def storable(value: Any) -> Any:
    """Return a value as JSON data that every storage takes (`harness.storage.values`).

    Beyond what `encode` changes, NUL characters become U+FFFD.
    """
    return _Reader(_STORED).read(value)


def clean(text: str, *, nul: bool = True) -> str:
    """Return text that can be sent: each lone surrogate in it becomes U+FFFD.

    Args:
        text: Any text, of a subclass too.
        nul: Whether NUL characters may stay; else they become U+FFFD as well.
    """
    plain = str.__str__(text)
    if not plain.isascii():
        plain = plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return plain if nul else plain.replace("\0", "\ufffd")


def text_of(text_by: Callable[[], Any], most: int) -> str | None:
    """Return what a text method returns, clean and cut off; None if it raises or is no text.

    Args:
        text_by: Calls the `__str__` or `__repr__` of a user's object.
        most: How many characters of it are wanted.
    """
    try:
        text = text_by()
        return clean(str.__getitem__(text, slice(most)))
    except _NOT_OURS:
        raise
    except BaseException:  # noqa: BLE001 -- whatever the object's own code raises
        return None


def class_name(kind: type) -> str:
    """Return a class's name, whatever its metaclass says."""
    return clean(type.__dict__["__name__"].__get__(kind))


def mark(value: Any, why: str | None = None) -> dict[str, Any]:
    """Return what stands in JSON for a value that JSON cannot say.

    Args:
        value: Its class is named.
        why: Told instead of its repr.
    """
    kind = type(value)
    module = text_of(lambda: kind.__module__, _MAX_REPR) or "unknown"
    return {
        "lc": 1,
        "type": "not_implemented",
        "id": [*module.split("."), class_name(kind)],
        "repr": text_of(lambda: _repr(value), _MAX_REPR) if why is None else why,
    }


def _repr(value: Any) -> str:
    """Return a repr; of an integer whose digits Python does not write out, the hexadecimal one."""
    try:
        return repr(value)
    except ValueError:
        return hex(value)


def _known(value: Any) -> Any:
    """Return what JSON can say of a value that orjson does not know, or is not to read."""
    if type(value) is datetime and value.tzinfo is UTC:  # most often, and `isoformat` is slow
        return orjson.Fragment(orjson.dumps(value))
    simpler = _simpler(value)
    return mark(value) if simpler is value else simpler


def _simpler(value: Any) -> Any:  # noqa: C901, PLR0911 -- one return a kind
    """Return what a value is made of; what is not known, as it is."""
    if isinstance(value, _MOMENTS):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
            if not field.name.startswith("_") and hasattr(value, field.name)
        }
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, BaseException):
        return repr(value)
    if isinstance(value, PurePath | Decimal):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float):
        return float.__float__(value)
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        listed = value.tolist()
        return value if type(listed) is type(value) else listed
    return value


class _Reader:
    """Reads a value part by part, and marks what cannot be read."""

    def __init__(self, form: _Form) -> None:
        self._form = form
        self._around: set[int] = set()
        """The ids of what is being read."""

    def read(self, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 -- one return a type
        """Return what may be said of a value, made of JSON's own types."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return clean(value, nul=self._form.nul)
        if kind is int and INT_MIN <= value <= self._form.greatest:
            return value
        if kind is float:
            return value if math.isfinite(value) else None
        if id(value) in self._around:
            return self._marked(value, "it contains itself")
        if depth > self._form.depth:
            return self._marked(value, "it is nested too deeply")
        self._around.add(id(value))
        try:
            return self._opened(value, depth)
        except _NOT_OURS:
            raise
        except BaseException:  # noqa: BLE001 -- whatever the value's own code raises
            return self._marked(value)
        finally:
            self._around.discard(id(value))

    def _opened(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 -- one return a kind
        """Return what may be said of a value that is none of JSON's simplest."""
        if isinstance(value, dict):
            return self._object(dict.items(value), depth)
        if isinstance(value, list):
            return self._list(list.__iter__(value), depth)
        if isinstance(value, Enum):
            return self.read(value.value, depth + 1)
        if isinstance(value, str):
            return clean(value, nul=self._form.nul)
        if isinstance(value, int):
            plain = int.__int__(value)
            return plain if INT_MIN <= plain <= self._form.greatest else self._marked(plain)
        simpler = _simpler(value)
        if simpler is not value:
            return self.read(simpler, depth + 1)
        try:  # ids, and numpy's numbers
            return self.read(orjson.loads(orjson.dumps(value, option=_OPTIONS)), depth)
        except orjson.JSONEncodeError:
            return self._marked(value)

    def _list(self, items: Iterable[Any], depth: int) -> Any:
        if depth >= self._form.depth:
            return self._marked([], "it is nested too deeply")
        read: list[Any] = []
        for item in items:
            read.append(self.read(item, depth + 1))  # noqa: PERF401 -- one frame less a level
        return read

    def _object(self, items: Iterable[tuple[Any, Any]], depth: int) -> Any:
        if depth >= self._form.depth:
            return self._marked({}, "it is nested too deeply")
        pairs = list(items)
        texts = {key for key, _ in pairs if type(key) is str}
        same: Counter[str] = Counter()
        read: dict[str, Any] = {}
        for key, item in pairs:
            given = name = clean(_key(key), nul=self._form.nul)
            is_own = type(key) is str and name == key
            while name in read or (name in texts and not is_own):
                same[given] += 1
                name = f"{given} ({same[given] + 1})"
            read[name] = self.read(item, depth + 1)
        return read

    def _marked(self, value: Any, why: str | None = None) -> dict[str, Any]:
        """Return a mark, whose own texts are clean."""
        marked = mark(value, why)
        if not self._form.nul:
            marked["id"] = [clean(part, nul=False) for part in marked["id"]]
            marked["repr"] = marked["repr"] and clean(marked["repr"], nul=False)
        return marked


def _key(key: Any) -> str:
    """Return what a key is called in JSON."""
    if type(key) is str:
        return key
    return text_of(lambda: _named(key), _MAX_REPR) or class_name(type(key))


def _named(key: Any) -> str:
    if isinstance(key, Enum):
        return _key(key.value)
    if isinstance(key, str | UUID):
        return str.__str__(key) if isinstance(key, str) else str(key)
    if isinstance(key, _MOMENTS):
        return key.isoformat()
    if key is None or isinstance(key, bool | int | float):
        with suppress(orjson.JSONEncodeError):
            return orjson.dumps(key).decode()
    return _repr(key)
