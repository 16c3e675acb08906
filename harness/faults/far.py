"""A database at the other end of a slow network: the proxy with a delay, in a process of its own.

In the measured process the proxy's own work would be measured with the rest. The process is
`python -m harness.faults.far`: it reads one line of JSON (`url`, `delay_ms`), says the address
that it listens on, and ends when its input does, so also when its parent dies.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from harness.errors import DatabaseUnavailable
from harness.faults.proxy import Proxy

_ENDING_TIMEOUT_S: Final = 5.0


@asynccontextmanager
async def far(url: str, delay_ms: float) -> AsyncIterator[str]:
    """Lend an address of the database at `url` whose every round trip takes longer.

    Args:
        url: Where the database is.
        delay_ms: Added to a round trip, half of it on each way.

    Raises:
        DatabaseUnavailable: The proxy did not start.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "harness.faults.far"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:  # both were asked for
        raise TypeError("a process with pipes has pipes")
    try:
        # Not as arguments: the address may hold a password, and arguments can be seen by others.
        process.stdin.write(json.dumps({"url": url, "delay_ms": delay_ms}).encode() + b"\n")
        await process.stdin.drain()
        address = (await process.stdout.readline()).decode().strip()
        if not address:
            raise DatabaseUnavailable("the delaying proxy ended before it listened")
        yield address
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _ENDING_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    asked = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    async with Proxy(asked["url"]) as proxy:
        proxy.delay_up_ms = proxy.delay_down_ms = asked["delay_ms"] / 2
        sys.stdout.write(f"{proxy.url}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
