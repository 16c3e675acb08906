"""Who is measured for each workload: the backends, and beside each its floors."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from harness.measure.backends import bind
from harness.measure.copying import ValidateAndCopy
from harness.measure.floors import bare
from harness.measure.floors.copying import copy_calls
from harness.measure.paired import Case, Subject, timed
from harness.measure.pgbench import find_pgbench, run_pgbench
from harness.measure.sites import PostgresSite, Stage, WorkloadCase
from harness.measure.workloads import Workload

NOTES: Final = {
    "floor": "the same SQL through bare psycopg, on the same pool",
    "copy": "COPY of the same rows in one transaction, on the same pool",
    "pgbench": "the same INSERT by one client of pgbench, prepared",
    "memory floor": "validating the records and copying them in and out",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject that is measured for a workload."""

    subject: Subject
    workload: Workload


def candidates(workload: Workload, memory: Stage, postgres: Stage | None) -> list[Candidate]:
    """Return everybody who is measured for a workload, backends first.

    Args:
        workload: What to do.
        memory: Where the memory backend does it.
        postgres: Where the Postgres backend and its floors do it, if there is a server.
    """
    names = [("memory", memory)]
    if workload.name == "create_sequential":
        names.append(("memory floor", memory))
    if postgres is not None:
        names += [("postgres", postgres), ("floor", postgres)]
        if workload.name == "create_many":
            names.append(("copy", postgres))
    subjects = [Subject(name, partial(timed, case_of(name, workload, at))) for name, at in names]
    if postgres is not None and workload.name == "create_sequential":
        subjects += _pgbench(workload, postgres)
    return [Candidate(subject, workload) for subject in subjects]


def case_of(subject: str, workload: Workload, stage: Stage) -> Case:
    """Return a subject at work.

    Args:
        subject: `memory`, `postgres`, or a floor: `floor`, `copy`, `memory floor`.
        workload: What to do; for the last two, what they are the floor of.
        stage: Where.

    Raises:
        ValueError: There is no such subject.
    """
    size = workload.operations
    match subject:
        case "memory" | "postgres":
            return WorkloadCase(
                stage, workload, lambda: bind(stage.site.storage, workload.table, size)
            )
        case "floor":
            pool = _site(stage).database.pool
            return WorkloadCase(stage, workload, lambda: bare.bind(pool, workload.table, size))
        case "copy":
            pool = _site(stage).database.pool
            return WorkloadCase(stage, workload, lambda: copy_calls(pool, workload.resource, size))
        case "memory floor":
            return ValidateAndCopy(workload.resource, size)
        case _:
            raise ValueError(f"there is no subject {subject!r}")


def _pgbench(workload: Workload, stage: Stage) -> list[Subject]:
    program = find_pgbench()
    url = _site(stage).database.config.url
    if program is None or url is None:
        return []

    async def sample() -> float:
        await stage.set_up(workload)
        elapsed_s = await run_pgbench(program, url, workload.resource, workload.operations)
        await stage.check(workload, workload.expected)
        return elapsed_s

    return [Subject("pgbench", sample)]


def _site(stage: Stage) -> PostgresSite:
    if not isinstance(stage.site, PostgresSite):
        raise TypeError("floors of Postgres work on Postgres")
    return stage.site
