"""An agent server as a process of its own: started, asked over HTTP, ended and started again."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from harness.config import without_pytest
from harness.errors import HarnessError

SERVE: Final = (
    sys.executable,
    "-c",
    "from harness.cli import main; main()",
    "serve",
    "--with-parent",
)
"""The command that serves, and ends when the process that started it does."""
_OWN: Final = ("DATABASE_", "HARNESS_JWT_", "HARNESS_MODEL")
"""Variables that are set or left out here, whatever the environment of this process has."""
_LAST_WORDS: Final = 4_000
"""Characters of the log that an error shows."""


class ServerEnded(HarnessError, ConnectionError):
    """The agent server ended when it should not have, or not as it should."""


class ServerSilent(HarnessError, TimeoutError):
    """The agent server was not ready, or had not ended, in time."""


class Served:
    """`harness serve` in a process of its own, at one address over all its starts.

    ```python
    async with Served(url) as server:
        await server.client().threads.create()
        await server.end(signal.SIGKILL)
        await server.start()
    ```

    Leaving it sends SIGTERM, and so does the end of this process, however it comes. Its model is
    the deterministic one unless `settings` name another.

    Args:
        database_url: What it stores in, and must reach; None: memory.
        graphs: A `langgraph.json`; None: the bundled agents.
        arguments: More of `harness serve`.
        settings: Environment variables.
        within_s: Seconds for each start and each end.
        command: What to start instead of `harness serve`: it takes `--port`, and the third word of
            its first line is its address.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *arguments: str,
        graphs: Path | None = None,
        settings: Mapping[str, str] | None = None,
        within_s: float = 120.0,
        command: Sequence[str] = SERVE,
    ) -> None:
        self._environ = {
            name: value for name, value in without_pytest().items() if not name.startswith(_OWN)
        }
        if database_url is not None:
            self._environ |= {"DATABASE_REQUIRED": "true", "DATABASE_URL": database_url}
        self._environ |= settings or {}
        self._arguments = [*arguments, *(() if graphs is None else ("--config", str(graphs)))]
        self._within_s, self._command = within_s, command
        self._log = tempfile.TemporaryFile("a+")  # noqa: SIM115 -- closed when it is left
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._clients: list[LangGraphClient | httpx.AsyncClient] = []
        self.url = ""
        """Its address, from its first start on."""
        self.announced = ""
        """The line that it said when it was ready."""

    @property
    def pid(self) -> int | None:
        """The id of the running process; None when there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        """Start it."""
        try:
            await self.start()
        except BaseException:
            self._log.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close its clients and end it."""
        try:
            for client in self._clients:
                await client.aclose()
            if self._process is not None:
                await self.end()
        finally:
            self._log.close()

    async def start(self) -> None:
        """Start it, where it was before if it was; returns when it answers.

        Raises:
            ServerEnded: It ended before it was ready; the message says what it said.
            ServerSilent: It was not ready in time.
        """
        self._process = process = await self._spawn("--port", str(self._port), *self._arguments)
        try:
            async with asyncio.timeout(self._within_s):
                self.announced = await self._announcement(process)
        except BaseException as exc:
            self._process = None
            if process.returncode is None:
                process.kill()
                await process.wait()
            if isinstance(exc, TimeoutError):
                why = f"not ready after {self._within_s:g} s:\n{self._last_words()}"
                raise ServerSilent(why) from exc
            raise
        self.url = self.announced.split()[2]
        self._port = int(self.url.rpartition(":")[2])

    async def end(self, *how: signal.Signals) -> None:
        """Have it end, and wait until it has.

        Args:
            how: Signals to send, one right after another; by default SIGTERM. Unless SIGKILL is
                among them it must end with status 0.

        Raises:
            ServerEnded: It was not running, or ended with another status.
            ServerSilent: It had not ended in time, and was killed.
        """
        process, self._process = self._process, None
        if process is None:
            raise ServerEnded("there is no server to end")
        signals = how or (signal.SIGTERM,)
        for number in signals:
            if process.returncode is None:
                process.send_signal(number)
        try:
            async with asyncio.timeout(self._within_s):
                status = await process.wait()
        except BaseException as exc:
            process.kill()
            await process.wait()
            if isinstance(exc, TimeoutError):
                raise ServerSilent(f"still there {self._within_s:g} s after {signals}") from exc
            raise
        if status and not (signal.SIGKILL in signals and status == -signal.SIGKILL):
            raise ServerEnded(f"ended with status {status}:\n{self._last_words()}")

    def log(self) -> str:
        """Return what it has logged, over all its starts."""
        self._log.seek(0)
        return self._log.read()

    def client(self, token: str | None = None) -> LangGraphClient:
        """Return the official client, which is closed with the server."""
        client = get_client(url=self.url, api_key=None, headers=_headers(token))
        self._clients.append(client)
        return client

    def http(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a plain HTTP client, which is closed with the server."""
        client = httpx.AsyncClient(base_url=self.url, timeout=120, headers=_headers(token))
        self._clients.append(client)
        return client

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            *arguments,
            env=self._environ,
            stdin=asyncio.subprocess.PIPE,  # it ends when this process no longer holds it
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C in the terminal is for the parent
        )

    async def _announcement(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        line = (await process.stdout.readline()).decode()
        if not line:
            await process.wait()
            raise ServerEnded(f"ended before it was ready:\n{self._last_words()}")
        return line

    def _last_words(self) -> str:
        return self.log()[-_LAST_WORDS:]


def _headers(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
