"""What other servers of this kind took, as reported: quoted to compare with, not measured here."""

from dataclasses import dataclass
from typing import Final, Literal

Quoted = Literal["create", "wait", "first_event"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A figure of another server, taken on another machine."""

    name: str
    quoted: Quoted
    low_ms: float
    high_ms: float
    source: str
    """Where the figure is from, in words."""


_GIVEN: Final = "as this project was told; its machine and settings are not known"

PEERS: Final = (
    Peer(
        name="official dev server, in memory",
        quoted="create",
        low_ms=1.5,
        high_ms=2.1,
        source=f"median, {_GIVEN}",
    ),
    Peer(
        name="Aegra 0.11",
        quoted="create",
        low_ms=3.8,
        high_ms=5.1,
        source=_GIVEN,
    ),
    Peer(name="Aegra 0.11", quoted="wait", low_ms=28, high_ms=28, source=_GIVEN),
    Peer(name="Aegra 0.11", quoted="first_event", low_ms=14, high_ms=14, source=_GIVEN),
    Peer(
        name="official dev server, in memory",
        quoted="first_event",
        low_ms=1_000,
        high_ms=1_000,
        source=f"at most that long, since it polls its queue; {_GIVEN}",
    ),
)


def peers_of(quoted: Quoted) -> list[Peer]:
    """Return the figures that are quoted of one thing, fastest first."""
    return sorted((p for p in PEERS if p.quoted == quoted), key=lambda peer: peer.low_ms)
