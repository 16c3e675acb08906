"""A server as a child process, for tests that speak HTTP to it."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

GRAPHS: Final = Path(__file__).parent / "served" / "langgraph.json"
_COMMAND: Final = (sys.executable, "-c", "from harness.cli import main; main()", "serve")
_OWN: Final = ("DATABASE_URL", "DATABASE_REQUIRED", "HARNESS_JWT_")
"""Variables that a test sets or leaves out, whatever the environment of the run has."""
_START_S: Final = 30.0
_END_S: Final = 20.0


class Serving:
    """A running server; leaving it sends SIGTERM, and asserts that it ends with status 0.

    Args:
        database_url: What it stores in; None: memory.
        arguments: Of `harness serve`; by default, to serve the graphs of `served/`.
        settings: Environment variables.
    """

    def __init__(self, database_url: str | None = None, *arguments: str, **settings: str) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OWN)}
        self._environ = {**inherited, **settings}
        if database_url is not None:
            self._environ = {"DATABASE_REQUIRED": "true", **self._environ}
            self._environ["DATABASE_URL"] = database_url
        self._arguments = arguments or ("--config", str(GRAPHS))
        self._log = tempfile.TemporaryFile("a+")  # noqa: SIM115 -- closed when it is left
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._clients: list[LangGraphClient | httpx.AsyncClient] = []
        self.url = ""
        self.announced = ""
        """The line that it said when it was ready."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for client in self._clients:
            await client.aclose()
        try:
            if self._process is not None:
                await self.end()
        finally:
            sys.stderr.write(self.log())
            self._log.close()

    async def start(self) -> None:
        """Start it, where it was before if it was; returns when it answers."""
        self._process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *("--port", str(self._port)),
            *self._arguments,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_S):
            self.announced = (await self._process.stdout.readline()).decode()
        assert self.announced.startswith("harness serves "), self.announced + self.log()
        self.url = self.announced.split()[2]
        self._port = int(self.url.rpartition(":")[2])

    async def end(self, *how: signal.Signals) -> None:
        """Have it end, and wait until it has.

        Args:
            how: Signals to send, one right after another; by default SIGTERM. After SIGKILL its
                status tells so, after others it must be 0.
        """
        signals = how or (signal.SIGTERM,)
        process, self._process = self._process, None
        assert process is not None
        for number in signals:
            process.send_signal(number)
        try:
            async with asyncio.timeout(_END_S):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            raise
        killed = signal.SIGKILL in signals
        assert status == (-signal.SIGKILL if killed else 0), self.log()

    def log(self, *, everything: bool = False) -> str:
        """Return what it has logged; of its requests those that failed, or all."""
        self._log.seek(0)
        return "".join(line for line in self._log if everything or not _is_fine(line))

    def client(self, token: str | None = None) -> LangGraphClient:
        """Return the official client, which is closed with the server."""
        client = get_client(url=self.url, api_key=None, headers=_headers(token))
        self._clients.append(client)
        return client

    def http(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a plain HTTP client, which is closed with the server."""
        client = httpx.AsyncClient(base_url=self.url, timeout=30, headers=_headers(token))
        self._clients.append(client)
        return client


def _headers(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _is_fine(line: str) -> bool:
    try:
        return int(json.loads(line)["status"]) < 400
    except (ValueError, KeyError, TypeError):
        return False
