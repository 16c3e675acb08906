"""How long to wait before something is tried again that the server undid for others' sake."""

import asyncio
import random
from typing import Final

_LONGEST_FIRST_WAIT: Final = 0.1
"""Seconds; small beside the second after which PostgreSQL looks for a deadlock."""


async def step_aside(attempt: int) -> None:
    """Let those go first that the server preferred; without it, one may block them anew for ever.

    Waits half to all of 100 ms, doubled with each attempt, so that two victims do not meet again.

    Args:
        attempt: The number of the one that failed, from 1.
    """
    longest = _LONGEST_FIRST_WAIT * 2 ** (attempt - 1)
    await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311
