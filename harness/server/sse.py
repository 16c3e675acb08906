"""Server-sent events, as the official server writes them: CRLF, and the id behind the data."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from harness.server.encoding import encode
from harness.server.execution.channel import Event, Lagged, Reader

HEARTBEAT: Final = ": heartbeat\r\n\r\n"
_ALWAYS: Final = ("metadata", "error")


async def events_text(
    reader: Reader, *, modes: Sequence[str] | None = None
) -> AsyncGenerator[str, None]:
    """Yield what a reader gets, a piece at a time, until the run has ended.

    Args:
        reader: Of the run's channel, or of its thread's.
        modes: The stream modes that are wanted; None: all that the run has.
    """
    try:
        async for events in reader:
            text = "".join(
                _text(event, with_id=reader.channel.resumable)
                for event in events
                if modes is None or _is_of(event, modes)
            )
            if text:
                yield text
    except Lagged as exc:
        told = encode({"error": type(exc).__name__, "message": exc.public})
        yield f"event: error\r\ndata: {told}\r\n\r\n"


def _text(event: Event, *, with_id: bool) -> str:
    last = f"id: {event.id}\r\n" if with_id else ""
    return f"event: {event.name}\r\ndata: {event.data}\r\n{last}\r\n"


def _is_of(event: Event, modes: Sequence[str]) -> bool:
    """Whether an event belongs to one of the modes: `messages` are tokens of `messages-tuple`."""
    kind = event.name.partition("|")[0]
    mode = "messages-tuple" if kind == "messages" else kind.partition("/")[0]
    return kind in _ALWAYS or mode in modes
