"""Kills, stops and restarts servers, one after another, while others use them."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence

from tests.integration.serving import Serving


class Mayhem:
    """Does harm to servers; in the end all of them run.

    Args:
        servers: At each time one of them is harmed.
        lease_s: The servers' lease, which a stopped process outlasts.
        seed: Decides what is done.
    """

    def __init__(self, servers: Sequence[Serving], *, lease_s: float, seed: str) -> None:
        self._servers, self._lease_s = servers, lease_s
        self._random = random.Random(f"{seed}/mayhem")  # noqa: S311 -- reproducible, not secret
        self.done: Counter[str] = Counter()
        """How often each harm was done."""

    async def go_on(self, until: asyncio.Event) -> None:
        """Do harm, with pauses, until the event is set."""
        turn = 0
        while not until.is_set():
            server = self._servers[turn % len(self._servers)]
            harm = ("SIGKILL", "SIGSTOP", "SIGTERM")[(turn // len(self._servers)) % 3]
            turn += 1
            await self._pause(until, self._random.uniform(1, 2))
            if harm == "SIGSTOP":
                await self._stop(server)
            else:
                await server.end(signal.Signals[harm])
                await server.start()
            self.done[harm] += 1

    async def _stop(self, server: Serving) -> None:
        """Stop a process until its leases have run out."""
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._lease_s * 1.5)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _pause(self, until: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await until.wait()
        except TimeoutError:
            return
