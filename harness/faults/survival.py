"""Holds a ledger against a storage: is everything acknowledged there, and nothing half there?"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal

import orjson

from harness.faults.ledger import CHANGED, Cell, Cells, Entry, Fields, apply
from harness.faults.witness import Sight, contradictions, witness
from harness.storage.extensions import FullStorage

Kind = Literal["lost", "risen", "half", "stray"]
"""Acknowledged and not there as written; there though refused or deleted; a write in part, or
cells that contradict one another; there though nobody wrote it."""

_READERS: Final = 8
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken promise."""

    kind: Kind
    cell: Cell
    detail: str
    op: str = ""
    """The write that is to blame, if one is."""

    def __str__(self) -> str:
        by = f" after {self.op}" if self.op else ""
        return f"{self.kind}: {' '.join(self.cell)}{by}: {self.detail}"


@dataclass(slots=True, kw_only=True)
class SurvivalReport:
    """What became of the writes of a ledger."""

    acknowledged: int = 0
    unknown_applied: int = 0
    """Writes of unknown outcome that are there, whole."""
    unknown_absent: int = 0
    """Writes of unknown outcome that are not there, nothing of them."""
    refused: int = 0
    cells: int = 0
    """How many cells were compared."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def survived(self) -> bool:
        """Whether every promise held."""
        return not self.findings

    @property
    def unknown(self) -> int:
        """Writes of unknown outcome that are there whole or not at all."""
        return self.unknown_applied + self.unknown_absent

    def count(self, kind: Kind) -> int:
        """How many findings are of a kind."""
        return sum(finding.kind == kind for finding in self.findings)

    def __str__(self) -> str:
        lines = [
            (
                f"{self.acknowledged} acknowledged, {self.unknown_applied} unknown and there, "
                f"{self.unknown_absent} unknown and not there, {self.refused} refused, "
                f"{self.cells} cells compared, {len(self.findings)} findings"
            ),
            *(str(finding) for finding in self.findings[:_SHOWN]),
        ]
        if len(self.findings) > _SHOWN:
            lines.append(f"… and {len(self.findings) - _SHOWN} more")
        return "\n  ".join(lines)


async def verify(entries: Iterable[Entry], storage: FullStorage) -> SurvivalReport:
    """Compare all that the entries' owners have with what the entries say they must have.

    Nobody may write for these owners meanwhile.
    """
    report = SurvivalReport()
    gate = asyncio.Semaphore(_READERS)

    async def examine(owner: str, writes: list[Entry]) -> None:
        async with gate:
            sight = await witness(storage, owner)
        _Examination(report, sight).of(writes)

    by_owner = groupby(sorted(entries, key=lambda entry: entry.owner), lambda entry: entry.owner)
    async with asyncio.TaskGroup() as group:
        for owner, writes in by_owner:
            group.create_task(examine(owner, list(writes)))
    return report


class _Examination:
    """One owner's writes against one owner's cells."""

    def __init__(self, report: SurvivalReport, sight: Sight) -> None:
        self._report = report
        self._sight = sight
        self._cells: Cells = {}
        self._blame: dict[Cell, str] = {}

    def of(self, writes: list[Entry]) -> None:
        for entry in writes:
            match entry.outcome:
                case "acknowledged":
                    self._report.acknowledged += 1
                    self._take(entry)
                case "refused":
                    self._report.refused += 1
                    self._pass_over(entry)
                case "unknown":
                    self._settle(entry)
        for cell, expected in self._cells.items():
            self._compare(cell, expected)
        self._report.cells += len(self._cells)
        self._look_for_strays()
        for cell, detail in contradictions(self._sight):
            self._find("half", cell, detail)

    def _take(self, entry: Entry) -> None:
        apply(entry.effects, self._cells)
        for effect in entry.effects:
            self._blame[effect.cell] = entry.op

    def _pass_over(self, entry: Entry) -> None:
        for effect in entry.effects:
            self._cells.setdefault(effect.cell, None)
            self._blame.setdefault(effect.cell, f"refused {entry.op}")

    def _settle(self, entry: Entry) -> None:
        """Decide from the cells whether an unknown write was applied: all of it, or nothing."""
        before = {effect.cell: self._cells.get(effect.cell) for effect in entry.effects}
        after = dict(before)
        apply(entry.effects, after)
        if all(matches(fields, self._sight.get(cell)) for cell, fields in after.items()):
            self._report.unknown_applied += 1
            self._take(entry)
        elif all(matches(fields, self._sight.get(cell)) for cell, fields in before.items()):
            self._report.unknown_absent += 1
            self._pass_over(entry)
        else:
            for cell in before:
                self._find("half", cell, f"there is {self._sight.get(cell)}", entry.op)
                self._cells.pop(cell, None)

    def _compare(self, cell: Cell, expected: Fields) -> None:
        actual = self._sight.get(cell)
        if not matches(expected, actual):
            kind: Kind = "risen" if expected is None else "lost"
            detail = f"expected {expected}, there is {actual}"
            self._find(kind, cell, detail, self._blame.get(cell, ""))

    def _look_for_strays(self) -> None:
        for cell, fields in self._sight.items():
            if cell in self._blame or any(f.cell == cell for f in self._report.findings):
                continue
            if "cron_id" in fields.get("metadata", {}):
                continue  # made by a firing, and counted there
            self._find("stray", cell, f"nobody wrote {fields}")

    def _find(self, kind: Kind, cell: Cell, detail: str, op: str = "") -> None:
        self._report.findings.append(Finding(kind=kind, cell=cell, detail=detail, op=op))


def matches(expected: Fields, actual: Fields) -> bool:
    """Whether a cell holds what is expected of it, types included; other fields don't count."""
    if expected is None or actual is None:
        return expected is actual
    return all(name in actual and _same(value, actual[name]) for name, value in expected.items())


def _same(expected: object, actual: object) -> bool:
    if isinstance(expected, dict) and CHANGED in expected:
        return bool(expected[CHANGED] != actual)
    return orjson.dumps(expected, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        actual, option=orjson.OPT_SORT_KEYS
    )
