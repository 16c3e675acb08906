"""Whether what the server stores in can be reached: asked when somebody wants to know."""

import asyncio
from typing import Final

from harness.errors import HarnessError
from harness.runtime import is_postgres_enabled
from harness.server.users import ANYBODY
from harness.storage.interface import Storage

_TIMEOUT_S: Final = 2.0


class Probe:
    """Asks the database; however many ask at once, one question is under way.

    Args:
        storage: What is asked.
        wanted: Whether a database was configured, be it that memory had to stand in for it.
    """

    def __init__(self, storage: Storage, *, wanted: bool) -> None:
        self._storage, self._wanted = storage, wanted
        self._asking: asyncio.Task[str | None] | None = None

    async def problem(self) -> str | None:
        """Return why the database cannot be reached, within two seconds; None: it can."""
        if not is_postgres_enabled():
            return (
                "the database could not be reached when the server started, and everything is "
                "kept in memory until it ends"
                if self._wanted
                else None
            )
        asking = self._asking  # once it is done, another caller may replace it at any time
        if asking is None or asking.done():
            asking = self._asking = asyncio.create_task(self._ask())
        # A timeout around it would wait for psycopg, which a frozen database keeps waiting.
        done, _ = await asyncio.wait({asking}, timeout=_TIMEOUT_S)
        if not done:
            return f"the database does not answer within {_TIMEOUT_S:g} s"
        return asking.result()

    async def _ask(self) -> str | None:
        try:
            await self._storage.threads.count(owner=ANYBODY)
        except HarnessError as exc:
            return exc.public
        return None
