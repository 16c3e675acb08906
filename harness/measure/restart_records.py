"""What was found of agent servers that ended and were started again."""

import dataclasses
from typing import Literal

EndedBy = Literal["SIGTERM", "SIGKILL"]
"""The signal that ended a server: the first asks it to, the second nobody can catch."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerRestart:
    """An agent server that ended in the midst of a run, and was started again at once."""

    subject: str
    """What it stores in: `memory` or `postgres`."""
    ended_by: EndedBy
    lease_s: float
    """After which a run whose server was killed may be taken up by another."""
    steps: int
    """Of the run; each takes a twentieth of a second, and is stored before the next (`sync`)."""
    ended_s: float
    """Seconds from the signal until the process was gone."""
    ready_s: float
    """Seconds from the start of the next process until it said that it was ready."""
    answered_s: float
    """Seconds from that start until the first question about a thread was answered."""
    continued_s: float | None
    """Seconds from that start until a reader was told of the run's next step; None: forgotten."""
    seen: int
    """The last step that the run's reader was told of before the end."""
    done_again: int | None
    """How many of those were done once more; None: forgotten."""
