"""Just enough of PostgreSQL's wire protocol to see which statements pass, and when they end.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", message formats of version 3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104

_BUILDS_A_BATCH: Final = frozenset(b"PBDEC")
"""Parse, Bind, Describe, Execute, Close: nothing is answered before the message that ends them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `kind` is 0 for the first of a connection, which has no type byte."""

    kind: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """What follows type and length."""
        return self.raw[5:] if self.kind else self.raw[4:]

    @property
    def is_encryption_request(self) -> bool:
        """Whether a client asks, before anything else, to talk in private."""
        return (
            not self.kind
            and len(self.raw) == 8
            and struct.unpack("!I", self.payload)[0] in (SSL_REQUEST, GSS_REQUEST)
        )


class Frames:
    """Cuts a stream of bytes into whole messages."""

    def __init__(self, *, from_client: bool) -> None:
        self._starting = from_client
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that these bytes complete."""
        self._rest += data
        while True:
            head = 0 if self._starting else 1
            if len(self._rest) < head + 4:
                return
            size = head + struct.unpack_from("!I", self._rest, head)[0]
            if len(self._rest) < size:
                return
            message = Message(self._rest[0] if head else 0, bytes(self._rest[:size]))
            del self._rest[:size]
            self._starting = self._starting and message.is_encryption_request
            yield message


@dataclass(frozen=True, slots=True)
class Batch:
    """What a client sends before it waits for an answer."""

    raw: bytes
    statements: tuple[str, ...]
    """The SQL that it executes, in order."""


@dataclass(slots=True)
class Batches:
    """Collects a client's messages into batches, and remembers what it prepared."""

    _prepared: dict[bytes, str] = field(default_factory=dict)
    _portals: dict[bytes, str] = field(default_factory=dict)
    _raw: bytearray = field(default_factory=bytearray)
    _statements: list[str] = field(default_factory=list)

    def add(self, message: Message) -> Batch | None:
        """Take one message; return the batch if it ends one."""
        self._raw += message.raw
        if message.kind == ord("Q"):
            self._statements.append(_text(message.payload))
        elif message.kind == ord("P"):
            name, _, rest = message.payload.partition(b"\0")
            self._prepared[name] = _text(rest)
        elif message.kind == ord("B"):
            portal, name = message.payload.split(b"\0", 2)[:2]
            self._portals[portal] = self._prepared.get(name, "")
        elif message.kind == ord("E"):
            self._statements.append(self._portals.get(message.payload.partition(b"\0")[0], ""))
        if message.kind in _BUILDS_A_BATCH:
            return None
        batch = Batch(bytes(self._raw), tuple(self._statements))
        self._raw.clear()
        self._statements.clear()
        return batch


def _text(payload: bytes) -> str:
    return payload.partition(b"\0")[0].decode(errors="replace")
