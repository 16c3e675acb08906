"""Results of measurements: frozen records, and the one file format they are kept in.

A file is one JSON object: `format`, `version`, and the fields of `Results`. Raw samples are kept;
statistics are made from them elsewhere.
"""

import dataclasses
import errno
import json
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from harness.errors import ResultsError
from harness.measure.agent_records import (
    DurabilityCell,
    GrowthPoint,
    PruneGain,
    StoreMix,
    StreamCell,
)
from harness.measure.decode import decode
from harness.measure.restart_records import ServerRestart
from harness.measure.server_records import ServedTurns, ServerLoad

FORMAT: Final = "langgraph-persistence-harness results"
VERSION: Final = 2
"""Version 1 knew `contract`, `timings` and `pool`, and is a version 2 without the rest."""

Kind = Literal[
    "contract",
    "timings",
    "pool",
    "streaming",
    "savers",
    "growth",
    "stores",
    "restarts",
    "durability",
    "server",
]
Mix = Literal["creates", "mixed", "checkpoints"]
Outcome = Literal["passed", "failed", "skipped", "differs"]
"""`differs`: failed as it was declared to, on a backend that is known to answer differently."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """The server that was measured, and the settings that its speed depends on."""

    version: str
    provisioner: str
    """`external`, `embedded` or `container`."""
    location: str
    """Where the data lie, such as "ext4 disk" or "tmpfs"; for an external server, its host."""
    fsync: str
    synchronous_commit: str
    shared_buffers: str
    max_connections: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a measurement ran on."""

    python: str
    platform: str
    cpu: str
    cores: int
    memory_bytes: int
    libraries: dict[str, str]
    """Version by distribution name."""
    postgres: PostgresSettings | None
    """None where no server was measured."""

    def fingerprint(self) -> dict[str, str]:
        """Return, by name, everything that must agree before results may be pooled.

        Memory counts in whole GiB: what the kernel keeps for itself differs from boot to boot.
        """
        facts = {
            "python": self.python,
            "platform": self.platform,
            "cpu": self.cpu,
            "cores": str(self.cores),
            "memory": f"{self.memory_bytes / 2**30:.0f} GiB",
        }
        facts |= dict(sorted(self.libraries.items()))
        if self.postgres is not None:
            facts |= {
                f"postgres {name}": value
                for name, value in dataclasses.asdict(self.postgres).items()
            }
        return facts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one subject took for one workload, sample by sample."""

    workload: str
    """Such as "create_sequential"."""
    resource: str
    """`assistants`, `threads`, `runs`, `items` or `crons`; or `checkpoints`, `store`."""
    subject: str
    """A backend (`memory`, `postgres`), a floor (`floor`, `copy`, …), a saver or a store.

    In results of kind `server` two words: a backend or `echo`, and how it is called: over HTTP
    through the official client (`sdk`) or a bare connection (`raw`), or in process (`storage`).
    """
    operations: int
    """How many operations one sample covers."""
    samples_s: list[float]
    """Seconds a sample."""
    order: list[int]
    """When each sample was taken, counted over all subjects of the workload.

    Samples of the same index were taken side by side: they are pairs.
    """
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolCell:
    """One subject under a number of concurrent callers, behind a pool of one size."""

    pool_size: int
    """Connections; 0 for a subject that has none (`memory`)."""
    callers: int
    mix: Mix
    subject: str
    duration_s: float
    operations: int
    busy_share: float
    """Time that connections were checked out, over pool size times duration: 0 to 1, exact."""
    peak_in_use: int
    wait_ms: list[float]
    """What callers waited for a connection, ascending; many are thinned evenly by rank."""
    throughput_per_s: float
    timeline: list[tuple[float, int, int]]
    """`(t_s, in use, queued)` over the measurement, thinned evenly when there are many."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContractOutcome:
    """What one test of the contract found on one backend."""

    backend: str
    contract: str
    """The contract's class."""
    test: str
    invariants: list[int]
    """The lines of the project's invariants that the test stands for."""
    outcome: Outcome
    message: str
    """Why it failed, was skipped or differs, or what was refused; empty when it just passed."""
    duration_s: float
    error: str = ""
    """The class of the error that it failed with."""
    place: str = ""
    """The innermost line of the backend's code that the error went through."""
    asked: str = ""
    """What the test does: its docstring."""
    ours: bool = False
    """Whether the promise is this project's alone: LangGraph neither documents nor keeps it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that one measurement found."""

    kind: Kind
    made_at: datetime
    environment: Environment
    timings: list[Timing] = dataclasses.field(default_factory=list)
    pool: list[PoolCell] = dataclasses.field(default_factory=list)
    contract: list[ContractOutcome] = dataclasses.field(default_factory=list)
    """Of storage backends; in results of kind `stores`, of LangGraph stores."""
    streaming: list[StreamCell] = dataclasses.field(default_factory=list)
    growth: list[GrowthPoint] = dataclasses.field(default_factory=list)
    pruning: list[PruneGain] = dataclasses.field(default_factory=list)
    stores: list[StoreMix] = dataclasses.field(default_factory=list)
    restarts: list[ServerRestart] = dataclasses.field(default_factory=list)
    durability: list[DurabilityCell] = dataclasses.field(default_factory=list)
    turns: list[ServedTurns] = dataclasses.field(default_factory=list)
    load: list[ServerLoad] = dataclasses.field(default_factory=list)
    complete: bool = True
    """False: the measurement was interrupted, and this is what it had by then."""


def save(results: Results, directory: Path) -> Path:
    """Write a results file, whole or not at all, and return its path.

    Raises:
        ResultsError: It cannot be written; the message says why.
    """
    path = directory / f"{results.kind}-{results.made_at:%Y%m%dT%H%M%S.%fZ}.json"
    document = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(results)}
    text = json.dumps(document, default=datetime.isoformat, allow_nan=False)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(path, text)
    except OSError as exc:
        advice = "free some space" if exc.errno == errno.ENOSPC else "choose another folder"
        raise ResultsError(f"cannot write {path}: {exc.strerror}; {advice}") from exc
    return path


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=".partial-", delete=False
    ) as partial:
        try:
            partial.write(text)
            partial.flush()
            os.fsync(partial.fileno())
            Path(partial.name).chmod(0o644)
            Path(partial.name).replace(path)
        except BaseException:
            Path(partial.name).unlink()
            raise


def load(path: Path) -> Results:
    """Read a results file of this version or an older one.

    Raises:
        ResultsError: It cannot be read, is broken, is something else, or is of a newer version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ResultsError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:  # not JSON, or not text
        raise ResultsError(f"{path} is broken: {exc}") from exc
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise ResultsError(f"{path} is no results file of harness")
    version = document.pop("version", None)
    if type(version) is not int or version < 1:
        raise ResultsError(f"{path} is broken: it says no version")
    if version > VERSION:
        raise ResultsError(
            f"{path} is of version {version}, and this harness reads up to {VERSION}; upgrade it"
        )
    try:
        results: Results = decode(Results, document)
    except ResultsError as exc:
        raise ResultsError(f"{path} is broken: {exc}") from exc
    return results


def newest(directory: Path, kind: Kind) -> Path | None:
    """Return the results file made last, None if there is none."""
    return max(directory.glob(f"{kind}-*.json"), key=lambda path: path.name, default=None)


def pooled(many: Sequence[Results]) -> Results:
    """Return the results of several measurements as one.

    Samples of the same workload and subject are joined, pairs staying pairs.

    Raises:
        ResultsError: There are none, or their kinds or environments are unlike; says what differs.
    """
    if not many:
        raise ResultsError("there are no results to pool")
    first = many[0]
    for other in many[1:]:
        differences = _differences(first, other)
        if differences:
            raise ResultsError(f"results of unlike environments: {'; '.join(differences)}")
    return dataclasses.replace(
        first,
        made_at=max(results.made_at for results in many),
        timings=_joined([results.timings for results in many]),
        pool=[cell for results in many for cell in results.pool],
        contract=[outcome for results in many for outcome in results.contract],
        streaming=[cell for results in many for cell in results.streaming],
        growth=[point for results in many for point in results.growth],
        pruning=[gain for results in many for gain in results.pruning],
        stores=[mix for results in many for mix in results.stores],
        restarts=[restart for results in many for restart in results.restarts],
        durability=[cell for results in many for cell in results.durability],
        turns=[cell for results in many for cell in results.turns],
        load=[cell for results in many for cell in results.load],
        complete=all(results.complete for results in many),
    )


def _differences(one: Results, other: Results) -> list[str]:
    ours = {"kind": one.kind, **one.environment.fingerprint(), **_subjects(one)}
    theirs = {"kind": other.kind, **other.environment.fingerprint(), **_subjects(other)}
    return [
        f"{name} is {ours.get(name, 'absent')} in one and {theirs.get(name, 'absent')} in another"
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


def _subjects(results: Results) -> dict[str, str]:
    """Who was measured side by side: pairs can be joined only where that is the same."""
    subjects: dict[str, list[str]] = {}
    for timing in results.timings:
        subjects.setdefault(f"{timing.workload} of {timing.resource}", []).append(
            f"{timing.subject} x {timing.operations}"
        )
    return {workload: ", ".join(sorted(names)) for workload, names in subjects.items()}


def _joined(many: Sequence[Sequence[Timing]]) -> list[Timing]:
    """Join samples; each measurement counts its order on from where the one before stopped."""
    joined: dict[tuple[Any, ...], Timing] = {}
    offset = 0
    for timings in many:
        for timing in timings:
            key = (timing.workload, timing.resource, timing.subject, timing.operations)
            order = [offset + position for position in timing.order]
            if key in joined:
                timing = dataclasses.replace(  # noqa: PLW2901 -- the same timing, longer
                    joined[key],
                    samples_s=[*joined[key].samples_s, *timing.samples_s],
                    order=[*joined[key].order, *order],
                )
                joined[key] = timing
            else:
                joined[key] = dataclasses.replace(timing, order=order)
        offset += 1 + max((position for t in timings for position in t.order), default=-1)
    return list(joined.values())
