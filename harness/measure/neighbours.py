"""What a user of an agent server waits for beside others who take what they can get."""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import jwt

from harness.errors import ResultsError
from harness.faults.served import Served

PATIENCE_S: Final = 10.0
"""After which an operation counts as not answered."""


class Tokens:
    """A server's secret, and tokens that it takes."""

    def __init__(self) -> None:
        self._secret = secrets.token_hex(32)

    @property
    def settings(self) -> dict[str, str]:
        """The server's environment."""
        return {"HARNESS_JWT_SECRET": self._secret}

    def of(self, owner: str) -> str:
        """Return a token that is good for an hour."""
        claims = {"sub": owner, "exp": int(time.time()) + 3_600}
        return jwt.encode(claims, self._secret, algorithm="HS256")


class Victim:
    """One user, who does one thing after another.

    Args:
        served: The server.
        token: The user's.
    """

    def __init__(self, served: Served, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=served.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S
        )

    async def round(self) -> dict[str, float]:
        """Do each operation once; return its seconds, infinite where there was no good answer."""
        run = {"assistant_id": "steps", "input": {"steps": 3}}
        item = {"namespace": ["home"], "key": "note", "value": {"a": 1}}
        return {
            "create": await self._timed("POST", "/threads", {}),
            "run": await self._timed("POST", "/runs/wait", run),
            "put": await self._timed("PUT", "/store/items", item),
            "search": await self._timed("POST", "/store/items/search", {"namespace_prefix": []}),
        }

    async def close(self) -> None:
        """Leave."""
        await self._http.aclose()

    async def _timed(self, method: str, path: str, body: object) -> float:
        began_s = time.perf_counter()
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError:
            return float("inf")
        return time.perf_counter() - began_s if answer.is_success else float("inf")


@asynccontextmanager
async def hostile(served: Served, tokens: Tokens, owners: int) -> AsyncIterator[None]:
    """Have so many owners at full throttle in the block, and what they began cancelled after it.

    Raises:
        ResultsError: They could not begin.
    """
    names = [f"hostile {n:02}" for n in range(owners)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "harness.measure.hostile", served.url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:  # both were asked for
        raise TypeError("a process with pipes has pipes")
    try:
        process.stdin.write("".join(f"{tokens.of(name)}\n" for name in names).encode() + b"\n")
        if await process.stdout.readline() != b"ready\n":
            raise ResultsError("the hostile owners could not begin")
        yield
    finally:
        process.stdin.close()
        await process.wait()
        for name in names:
            headers = {"Authorization": f"Bearer {tokens.of(name)}"}
            async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60) as http:
                await http.post("/runs/cancel", json={"status": "all"})
