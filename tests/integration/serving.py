"""A server as a child process, for tests that speak HTTP to it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

GRAPHS: Final = Path(__file__).parent / "served" / "langgraph.json"
_SERVE: Final = """
from pathlib import Path
from harness.config import DatabaseConfig, ServerConfig
from harness.server.serve import serve
serve(ServerConfig.from_env(port={port}, graphs=Path({graphs!r})), DatabaseConfig.from_env())
"""
_START_S: Final = 30.0
_END_S: Final = 20.0


class Serving:
    """A running server; leaving it sends SIGTERM, and asserts that it ends with status 0.

    Args:
        database_url: What it stores in; None: memory.
        settings: Environment variables.
    """

    def __init__(self, database_url: str | None = None, **settings: str) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DATABASE_")}
        self._environ = {**inherited, **settings}
        if database_url is not None:
            self._environ |= {"DATABASE_URL": database_url, "DATABASE_REQUIRED": "true"}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- closed when it is left
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._clients: list[LangGraphClient] = []
        self.url = ""

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
        code = _SERVE.format(port=self._port, graphs=str(GRAPHS))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_S):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith("harness serves "), line + self.log()
        self.url = line.split()[2]
        self._port = int(self.url.rpartition(":")[2])

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Have it end, and wait until it has; by SIGTERM it does so in order."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(how)
        try:
            async with asyncio.timeout(_END_S):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            raise
        assert status == (0 if how is signal.SIGTERM else -how), self.log()

    def log(self) -> str:
        """Return what it has logged, but for the lines of its requests that went well."""
        self._log.seek(0)
        return "".join(line for line in self._log if not _is_fine(line))

    def client(self, token: str | None = None) -> LangGraphClient:
        """Return the official client, which is closed with the server."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        client = get_client(url=self.url, api_key=None, headers=headers)
        self._clients.append(client)
        return client

    @contextlib.asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """Open a plain HTTP client."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            yield client


def _is_fine(line: str) -> bool:
    try:
        return int(json.loads(line)["status"]) < 400
    except (ValueError, KeyError, TypeError):
        return False
