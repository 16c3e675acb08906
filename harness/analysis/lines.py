"""One line of a summary."""

from dataclasses import dataclass
from typing import Literal

Mood = Literal["good", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was found."""

    what: str
    found: str
    mood: Mood = "plain"
