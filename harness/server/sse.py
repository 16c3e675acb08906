"""Server-sent events, as the official server writes them: CRLF, and the id behind the data."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from harness.server.encoding import encode
from harness.server.execution.channel import Channel, Event, EventKey, Lagged

HEARTBEAT: Final = ": heartbeat\r\n\r\n"
_ALWAYS: Final = ("metadata", "error")


async def events_text(
    channel: Channel, *, after: EventKey | None = None, modes: Sequence[str] | None = None
) -> AsyncGenerator[str, None]:
    """Yield what a channel has, all that is there in one piece, until its run has ended.

    Args:
        channel: What is read.
        after: The last event that the reader has seen; None: everything from the beginning.
        modes: The stream modes that are wanted; None: all that the run has.
    """
    try:
        async for events in channel.read(after):
            text = "".join(
                _text(event, with_id=channel.resumable)
                for event in events
                if modes is None or _is_of(event, modes)
            )
            if text:
                yield text
    except Lagged as exc:
        told = encode({"error": type(exc).__name__, "message": str(exc)})
        yield f"event: error\r\ndata: {told}\r\n\r\n"


def _text(event: Event, *, with_id: bool) -> str:
    last = f"id: {event.id}\r\n" if with_id else ""
    return f"event: {event.name}\r\ndata: {event.data}\r\n{last}\r\n"


def _is_of(event: Event, modes: Sequence[str]) -> bool:
    """Whether an event belongs to one of the modes: `messages` are tokens of `messages-tuple`."""
    kind = event.name.partition("|")[0]
    mode = "messages-tuple" if kind == "messages" else kind.partition("/")[0]
    return kind in _ALWAYS or mode in modes
