"""A TCP proxy in front of PostgreSQL that delays, stalls, resets, refuses, and cuts.

It reads the protocol as it passes, so it can cut a connection before a statement reaches the
server, or after the server has committed it and before the client hears so.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from harness.faults.wire import Batch, Batches, Frames, Message

Moment = Literal["before", "after"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK_BYTES = 1 << 16
_MOST_UNDER_WAY = 64
"""Pieces, so that a stalled connection stalls its sender too."""
_LAST_WORD_OF_A_BATCH = ord("Z")
_CLIENT_MUST_SPEAK = frozenset(b"GWH")
"""CopyInResponse, CopyBothResponse, CopyOutResponse: no end of batch comes before the copy's."""


@dataclass(slots=True)
class _Cut:
    moment: Moment
    pattern: re.Pattern[str]
    times: int
    skip: int

    def takes(self, batch: Batch) -> bool:
        if self.times == 0 or not any(self.pattern.search(sql) for sql in batch.statements):
            return False
        self.skip -= 1
        return self.skip < 0


class Proxy:
    """Stands between clients and the server at `target`, on a port of its own on 127.0.0.1.

    Connections through it are not encrypted. Without a fault it passes everything on as it comes.

    Attributes:
        delay_up_ms: How long each piece waits on its way to the server.
        delay_down_ms: How long each piece waits on its way to the client.
        executed: SQL of all statements that were passed on to the server, in order.
        cuts: How many connections were cut by `cut`.
    """

    def __init__(self, target: str) -> None:
        self._target = conninfo_to_dict(target)
        self.delay_up_ms = 0.0
        self.delay_down_ms = 0.0
        self.executed: list[str] = []
        self.cuts = 0
        self._plans: list[_Cut] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The target's connection string, by way of the proxy."""
        direct = {key: value for key, value in self._target.items() if key != "hostaddr"}
        return make_conninfo(
            "",
            **{
                **direct,
                "host": "127.0.0.1",
                "port": self._port,
                "sslmode": "disable",
                "gssencmode": "disable",
            },
        )

    @property
    def connections(self) -> int:
        """How many connections pass through it now."""
        return len(self._links)

    async def accept(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections; those that are there go on."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def stall(self) -> None:
        """Hold everything back, in both directions; connections stay open."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let go of what was held back."""
        self._flowing.set()

    def reset(self) -> None:
        """Break all connections with a TCP reset, to both sides."""
        for link in self._links.values():
            link.reset()

    def cut(self, moment: Moment, on: str, *, times: int = 1, skip: int = 0) -> None:
        """Break the next connections whose statement matches, to both sides at once.

        Args:
            moment: `before` the statement goes to the server, which never sees it; or `after` the
                server has executed it and its transaction has ended, before the client hears of it.
            on: Regular expression that is searched for in the SQL, in any case.
            times: How many connections to cut.
            skip: How many matching statements to let pass first.
        """
        self._plans.append(_Cut(moment, re.compile(on, re.IGNORECASE), times, skip))

    def spare(self) -> None:
        """Forget the cuts that have not come about."""
        self._plans.clear()

    def executions(self, pattern: str) -> int:
        """How many statements that match were passed on to the server."""
        return sum(bool(re.search(pattern, sql, re.IGNORECASE)) for sql in self.executed)

    async def close(self) -> None:
        """Refuse new connections and reset those that are there."""
        await self.refuse()
        tasks = list(self._links)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def planned(self, batch: Batch) -> Moment | None:
        """Use up the first plan that takes this batch."""
        for plan in self._plans:
            if plan.takes(batch):
                plan.times -= 1
                self.cuts += 1
                return plan.moment
        return None

    async def held(self, pieces: "_UnderWay") -> bytes:
        """Return the next piece once it is due and nothing stalls; nothing where they end."""
        data = await pieces.arrival()
        await self._flowing.wait()
        return data

    async def reach(self) -> Streams:
        """Connect to the target."""
        host = str(self._target.get("hostaddr") or self._target.get("host") or "127.0.0.1")
        port = int(self._target.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, (reader, writer))
        task = asyncio.ensure_future(link.run())
        self._links[task] = link
        task.add_done_callback(self._part)

    def _part(self, task: asyncio.Task[None]) -> None:
        self._links.pop(task).abort()
        if not task.cancelled():
            task.result()


class _Link:
    """One client's connection, and the connection to the server that it stands for."""

    def __init__(self, proxy: Proxy, client: Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._writers = [client[1]]
        self._ended = asyncio.Event()
        self._reset = False
        self._holds_answers = False

    def reset(self) -> None:
        """End it with a reset to both sides."""
        self._reset = True
        self._ended.set()

    async def run(self) -> None:
        """Pass bytes on until one side ends or a fault does."""
        pumps: list[asyncio.Task[None]] = []
        try:
            server = await self._proxy.reach()
            self._writers.append(server[1])
            pumps = [
                asyncio.ensure_future(self._pump(partial(self._up, self._client[0], server[1]))),
                asyncio.ensure_future(self._pump(partial(self._down, server[0], self._client[1]))),
            ]
            await self._ended.wait()
        except OSError:  # the server refuses: so does the proxy, as far as it still can
            self._reset = True
        except asyncio.CancelledError:
            self._reset = True
            raise
        finally:
            for pump in pumps:
                pump.cancel()
            self.close()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in self._writers:
                with suppress(OSError):  # how it ended is no news
                    await writer.wait_closed()

    def close(self) -> None:
        """Close both sides, if that has not begun; a link that never ran needs it too."""
        for writer in self._writers:
            if not writer.is_closing():
                _close(writer, reset=self._reset)

    def abort(self) -> None:
        """Wait for nothing that could still be sent."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pump(self, pump: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await pump()
        except OSError:  # one side broke; the other learns of it in the same way
            self._reset = True
        self._ended.set()

    async def _up(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        frames, batches = Frames(from_client=True), Batches()
        with _UnderWay(client, lambda: self._proxy.delay_up_ms) as pieces:
            while data := await self._proxy.held(pieces):
                for message in frames.feed(data):
                    if message.is_encryption_request:
                        self._client[1].write(b"N")
                    elif batch := batches.add(message):
                        if not self._lets_pass(batch):
                            return
                        server.write(batch.raw)
                await server.drain()

    async def _down(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        frames, answer = Frames(from_client=False), bytearray()
        with _UnderWay(server, lambda: self._proxy.delay_down_ms) as pieces:
            while data := await self._proxy.held(pieces):
                for message in frames.feed(data):
                    answer += message.raw
                    if self._holds_answers and _ends_transaction(message):
                        self.reset()
                        return
                    if self._holds_answers and _is_awaited(message):
                        client.write(bytes(answer))
                        answer.clear()
                if not self._holds_answers:
                    client.write(bytes(answer))
                    answer.clear()
                await client.drain()

    def _lets_pass(self, batch: Batch) -> bool:
        moment = self._proxy.planned(batch)
        if moment == "before":
            self.reset()
            return False
        self._holds_answers = self._holds_answers or moment == "after"
        self._proxy.executed += batch.statements
        return True


class _UnderWay:
    """What comes from a reader, each piece so much later; many are on their way at a time."""

    def __init__(self, reader: asyncio.StreamReader, delay_ms: Callable[[], float]) -> None:
        self._reader = reader
        self._delay_ms = delay_ms
        self._pieces: asyncio.Queue[tuple[float, bytes | OSError]] = asyncio.Queue(_MOST_UNDER_WAY)
        self._loop = asyncio.get_running_loop()
        self._taking = asyncio.ensure_future(self._take())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._taking.cancel()

    async def arrival(self) -> bytes:
        """Wait for the next piece to arrive; nothing is the end.

        Raises:
            OSError: The reader broke.
        """
        due_s, piece = await self._pieces.get()
        if (wait_s := due_s - self._loop.time()) > 0:
            await asyncio.sleep(wait_s)
        if isinstance(piece, OSError):
            raise piece
        return piece

    async def _take(self) -> None:
        piece: bytes | OSError = b" "
        while isinstance(piece, bytes) and piece:
            try:
                piece = await self._reader.read(_CHUNK_BYTES)
            except OSError as exc:
                piece = exc
            await self._pieces.put((self._loop.time() + self._delay_ms() / 1000, piece))


def _ends_transaction(message: Message) -> bool:
    return message.kind == _LAST_WORD_OF_A_BATCH and message.payload == b"I"


def _is_awaited(message: Message) -> bool:
    return message.kind == _LAST_WORD_OF_A_BATCH or message.kind in _CLIENT_MUST_SPEAK


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if not reset:
        writer.close()
        return
    raw: socket.socket = writer.get_extra_info("socket")
    if raw.family != socket.AF_UNIX:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
