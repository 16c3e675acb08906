"""The ledger of writes: what was meant, and what became of it, kept outside the database.

A ledger is a file of JSON lines that is only appended to. Each line is handed to the operating
system before the call returns, so the ledger survives the death of its writer, and what a killed
writer had begun reads as unknown. It is not synced to disk: it outlives processes, not machines.

What a write does is told in effects. An effect names a cell, such as `("thread", <id>)`, and the
fields that it gives it; `None` means that the cell is gone. The effects of one write come true
together or not at all. Each owner's writes come one after another, and none follows one whose
outcome is unknown: so what must be in the database is exact.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, get_args

import orjson

from harness.models import Json

Cell = tuple[str, ...]
"""What is written, and its address: kind, then ids."""

Fields = Json | None
"""What a cell holds, as far as it is known; None if it is not there."""

Outcome = Literal["acknowledged", "unknown", "refused"]

CHANGED: Final = "$changed_from"
"""`{CHANGED: old}` stands for a value that is not known beforehand, except that it is not `old`."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write makes of one cell."""

    cell: Cell
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One write."""

    ticket: str
    owner: str
    op: str
    """The call, such as `runs.create`."""
    effects: tuple[Effect, ...]
    outcome: Outcome
    error: str = ""
    """Why it was refused, or is unknown."""


Cells = dict[Cell, Fields]
"""What is known of one owner's cells; a cell that was never written is not in it."""


def apply(effects: Iterable[Effect], cells: Cells) -> None:
    """Bring cells up to date with a write that came true."""
    for effect in effects:
        known = cells.get(effect.cell)
        if effect.fields is None or known is None:
            cells[effect.cell] = effect.fields
        else:
            cells[effect.cell] = known | effect.fields


class Ledger:
    """Records writes as they begin and end. Each process writes a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[tuple[str, Outcome]] = Counter()
        """How many writes of each call ended how, in this process.

        One that was acknowledged and changed nothing, such as a claim that found nothing, is none.
        """
        self._file: int | None = None
        self._tickets = 0
        self._open: dict[str, tuple[str, str]] = {}
        self._closed_owners: set[str] = set()

    def intend(self, owner: str, op: str, effects: Sequence[Effect]) -> str:
        """Record a write that is about to be sent; return the ticket to end it with.

        Raises:
            ValueError: The outcome of a write of this owner is unknown; go on under another.
        """
        if owner in self._closed_owners:
            raise ValueError(f"a write of {owner} is unknown: go on under another owner")
        self._tickets += 1
        ticket = f"{owner}/{self._tickets}"
        self._open[ticket] = owner, op
        self._append({"ticket": ticket, "owner": owner, "op": op, "effects": _effects_out(effects)})
        return ticket

    def acknowledge(self, ticket: str, effects: Sequence[Effect] | None = None) -> None:
        """Record that the write returned; `effects` take the place of those that were intended."""
        more = {} if effects is None else {"effects": _effects_out(effects)}
        self._end(ticket, "acknowledged", more, changed=effects is None or bool(effects))

    def unknown(self, ticket: str, error: BaseException) -> None:
        """Record that nobody knows whether the write was applied."""
        self._closed_owners.add(self._open[ticket][0])
        self._end(ticket, "unknown", {"error": _reason(error)})

    def refuse(self, ticket: str, error: BaseException) -> None:
        """Record that the write was certainly not applied."""
        self._end(ticket, "refused", {"error": _reason(error)})

    def total(self, outcome: Outcome, op: str = "") -> int:
        """How many writes of this process ended so, of one call or of all."""
        return sum(
            count for key, count in self.counts.items() if key[1] == outcome and op in ("", key[0])
        )

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _end(
        self, ticket: str, outcome: Outcome, more: Mapping[str, object], *, changed: bool = True
    ) -> None:
        _, op = self._open.pop(ticket)
        self._append({"ticket": ticket, "outcome": outcome, **more})
        self.counts[op, outcome] += changed

    def _append(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(self._file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


@dataclass(slots=True)
class _Open:
    """An entry whose end has not been read yet."""

    owner: str
    op: str
    effects: tuple[Effect, ...]
    outcome: Outcome = "unknown"
    error: str = field(default="its writer ended first")


def read_ledger(path: Path) -> list[Entry]:
    """Return all writes in the order in which they began.

    A last line without an end was cut off with its writer and counts as not written.

    Raises:
        ValueError: A line is no line of a ledger.
    """
    entries: dict[str, _Open] = {}
    for line in _lines(path):
        if "outcome" not in line:
            entries[line["ticket"]] = _Open(line["owner"], line["op"], _effects_in(line["effects"]))
            continue
        entry = entries[line["ticket"]]
        if line["outcome"] not in get_args(Outcome):
            raise ValueError(f"{line['outcome']!r} is not an outcome")
        entry.outcome = line["outcome"]
        entry.error = line.get("error", "")
        if "effects" in line:
            entry.effects = _effects_in(line["effects"])
    return [
        Entry(
            ticket=ticket,
            owner=entry.owner,
            op=entry.op,
            effects=entry.effects,
            outcome=entry.outcome,
            error=entry.error,
        )
        for ticket, entry in entries.items()
    ]


def _lines(path: Path) -> Iterator[Json]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as exc:
                raise ValueError(f"{path}, line {number}: no line of a ledger") from exc


def _effects_out(effects: Sequence[Effect]) -> list[list[object]]:
    return [[list(effect.cell), effect.fields] for effect in effects]


def _effects_in(effects: list[tuple[list[str], Fields]]) -> tuple[Effect, ...]:
    return tuple(Effect(tuple(cell), fields) for cell, fields in effects)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
