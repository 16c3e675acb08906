"""What handlers and functions that make graphs may raise, and no request may suffer from."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from langgraph_sdk import Auth
from starlette.exceptions import HTTPException

_Refusal: Final = Auth.exceptions.HTTPException


class Raises:
    """An object whose texts cannot be had."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __str__


class Exits(Raises):
    """An object that ends whoever wants its text."""

    def __str__(self) -> NoReturn:
        raise SystemExit(3)

    __repr__ = __str__


class Unreadable(dict[str, Any]):
    """A filter that ends whoever looks into it."""

    def items(self) -> NoReturn:
        """Raise."""
        raise SystemExit(4)


ENDING: Final[Mapping[str, Callable[[], BaseException]]] = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "BaseExceptionGroup": lambda: BaseExceptionGroup("several", [SystemExit(3)]),
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "BaseException": lambda: type("Own", (BaseException,), {})(Exits()),
    "ValueError": lambda: ValueError(Raises()),
}
"""What would end a task, a generator or a process, or cannot be told."""

NONSENSE: Final[Mapping[str, Callable[[], BaseException]]] = {
    "no status": lambda: _Refusal(None, "x"),  # type: ignore[arg-type]
    "a word as status": lambda: _Refusal("teapot", "x"),  # type: ignore[arg-type]
    "half a status": lambda: HTTPException(403.5, "x"),  # type: ignore[arg-type]
    "headers in a list": lambda: _Refusal(403, "x", ["a"]),  # type: ignore[arg-type]
    "headers as a number": lambda: HTTPException(403, "x", 5),  # type: ignore[arg-type]
    "a header of two lines": lambda: _Refusal(403, "x", {"X-A": "a\r\nSet-Cookie: b"}),
    "a header with NUL": lambda: _Refusal(403, "x", {"X-A": "\0"}),
    "a header that is no Unicode": lambda: _Refusal(403, "x", {"X-A": "\ud800"}),
    "a header without a text": lambda: _Refusal(403, "x", {"X-A": Raises()}),  # type: ignore[dict-item]
    "a name of two words": lambda: _Refusal(403, "x", {"X A:": "a"}),
    "a name of two lines": lambda: _Refusal(403, "x", {"X-A\r\nX-B": "a"}),
    "a name of nothing": lambda: _Refusal(403, "x", {"": "a"}),
    "a number as name": lambda: _Refusal(403, "x", {5: "a"}),  # type: ignore[dict-item]
    "a detail without a text": lambda: _Refusal(403, Raises()),  # type: ignore[arg-type]
    "a detail that exits": lambda: HTTPException(403, Exits()),  # type: ignore[arg-type]
    "an assertion without a text": lambda: AssertionError(Raises()),
    "an assertion that exits": lambda: AssertionError(Exits()),
}
"""Refusals that no answer can be made of."""
