"""Owners who take what they can get of an agent server, in a process of their own.

```bash
python -m harness.measure.hostile http://127.0.0.1:8123 < tokens
```

One token a line, an owner each. It writes a line once all are at it, and goes on until its standard
input ends.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Any, Final

import httpx

LOOPS: Final = 20
"""Endless runs that each owner has."""
STREAMS: Final = 20
_ENDLESS: Final = {"assistant_id": "steps", "input": {"steps": 10**9}}
_WIDE: Final = {"namespace_prefix": [], "filter": {f"k{n}": {"$gte": n} for n in range(200)}}
_BIG: Final = {f"k{n}": "x" * 1_000 for n in range(200)}
_TIMEOUT_S: Final = 30.0


class Hostile:
    """One owner at full throttle: endless runs, wide filters, big items and pages, many streams.

    Args:
        http: A client with the owner's token.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def begin(self, stack: AsyncExitStack) -> None:
        """Start what goes on by itself, as far as the server lets it."""
        with suppress(httpx.HTTPError):
            await self._http.post("/runs/batch", json=[_ENDLESS] * LOOPS)
            thread = (await self._http.post("/threads", json={})).json()["thread_id"]
            for _ in range(STREAMS):
                await stack.enter_async_context(
                    self._http.stream("GET", f"/threads/{thread}/stream")
                )

    async def go_on(self) -> None:
        """Send the same requests for ever, several at once."""
        keys = count()
        await asyncio.gather(
            *(_repeated(self._search) for _ in range(4)),
            *(_repeated(lambda: self._put(next(keys) % 50)) for _ in range(2)),
            _repeated(self._page),
        )

    async def _search(self) -> None:
        await self._http.post("/store/items/search", json=_WIDE)

    async def _put(self, key: int) -> None:
        item = {"namespace": ["big"], "key": f"{key}", "value": _BIG}
        await self._http.put("/store/items", json=item)

    async def _page(self) -> None:
        await self._http.post("/store/items/search", json={"namespace_prefix": [], "limit": 50})


async def _repeated(call: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        with suppress(httpx.HTTPError):
            await call()


async def _main(url: str) -> None:
    async with AsyncExitStack() as stack:
        owners: list[Hostile] = []
        for token in iter(sys.stdin.readline, "\n"):
            http = httpx.AsyncClient(
                base_url=url,
                headers={"Authorization": f"Bearer {token.strip()}"},
                timeout=_TIMEOUT_S,
                limits=httpx.Limits(max_connections=None),
            )
            owners.append(Hostile(await stack.enter_async_context(http)))
        await asyncio.gather(*(owner.begin(stack) for owner in owners))
        tasks = [asyncio.create_task(owner.go_on()) for owner in owners]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
