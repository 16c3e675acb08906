"""JSON of what storage, LangGraph and LangChain hand out."""

import dataclasses
from typing import Any, Final

import orjson
from pydantic import BaseModel

_OPTIONS: Final = orjson.OPT_NON_STR_KEYS


def encode(value: Any) -> str:
    """Return JSON text; times are ISO 8601 with `+00:00`.

    Messages and other Pydantic models are their fields, sets are lists, errors their text, bytes
    are read as UTF-8; whatever else JSON does not know is its `repr`.
    """
    return orjson.dumps(value, default=_plain, option=_OPTIONS).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return repr(value)
