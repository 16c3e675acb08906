"""Survival: what was acknowledged is there after a crash, a restart, and for a new client.

The writers and their ledger live in this process; what is killed is the database. SIGKILL leaves
the operating system's cache alone, so none of this says anything about `fsync`.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from harness.faults.ledger import Entry, Ledger, read_ledger
from harness.faults.survival import SurvivalReport, verify
from harness.faults.writers import Crew
from harness.storage.extensions import FullStorage

_PATIENCE_S = 240.0
EVERY_CALL = frozenset(
    {
        "assistants.create",
        "assistants.create_many",
        "assistants.delete",
        "assistants.update",
        "crons.claim_due",
        "crons.create",
        "crons.create_many",
        "items.delete_item",
        "items.put_item",
        "items.put_many",
        "runs.claim",
        "runs.create",
        "runs.create_many",
        "runs.finish",
        "runs.hand_back",
        "threads.add_state",
        "threads.create",
        "threads.create_many",
        "threads.delete",
    }
)
"""What the writers call; a proof in which one was never acknowledged proves less than it says."""


class Victim(Protocol):
    """A storage whose database may be killed: it is nobody else's."""

    def client(self) -> AbstractAsyncContextManager[FullStorage]:
        """Open the storage anew, with connections of its own."""

    async def kill(self) -> None:
        """End every process of the database at once, without warning."""

    async def start(self) -> None:
        """Start it again on what is left, and wait until it answers."""

    async def restart(self) -> None:
        """Stop it as an administrator would, and start it again."""


class SurvivalContract:
    """What every durable storage promises; a subclass supplies the fixture `victim`."""

    writes_a_round: ClassVar[int] = 200
    """How many writes are acknowledged before the next kill."""

    @pytest.fixture
    def victim(self) -> Victim:
        """Return an empty storage with a database to kill."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `victim` fixture")

    async def test_acknowledged_writes_survive_kill_after_kill(
        self, victim: Victim, tmp_path: Path, pytestconfig: pytest.Config
    ) -> None:
        """Kills under 20 writers lose nothing that was acknowledged, and leave nothing half done.

        After each kill the owners are compared that nobody writes for any more, in the end all.
        """
        path = tmp_path / "ledger"
        reports = []
        compared: frozenset[str] = frozenset()
        rounds: int = pytestconfig.getoption("survival_rounds")
        async with asyncio.timeout(_PATIENCE_S * max(1, rounds / 5)), victim.client() as storage:
            with Ledger(path) as ledger:
                async with Crew(storage, ledger) as crew:
                    for _ in range(rounds):
                        await crew.acknowledged(self.writes_a_round)
                        await victim.kill()
                        await victim.start()
                        over = _of_others(read_ledger(path), crew.writing | compared)
                        compared |= {entry.owner for entry in over}
                        async with victim.client() as fresh:
                            reports.append(await verify(over, fresh))
                    await crew.acknowledged(self.writes_a_round)
                    await crew.until(_fired)
            async with victim.client() as fresh:
                reports.append(await verify(read_ledger(path), fresh))
        for report in reports:
            assert report.survived, str(report)
        _assert_it_proves_something(reports[-1], read_ledger(path))

    async def test_acknowledged_writes_survive_restarts(
        self, victim: Victim, tmp_path: Path
    ) -> None:
        """Clean restarts under 20 writers lose nothing, and leave nothing half done."""
        path = tmp_path / "ledger"
        async with asyncio.timeout(_PATIENCE_S), victim.client() as storage:
            with Ledger(path) as ledger:
                async with Crew(storage, ledger) as crew:
                    for _ in range(2):
                        await crew.acknowledged(self.writes_a_round)
                        await victim.restart()
                    await crew.acknowledged(self.writes_a_round)
            report = await verify(read_ledger(path), storage)
        assert report.survived, str(report)
        assert report.acknowledged > 3 * self.writes_a_round, str(report)

    async def test_a_new_client_finds_everything(self, victim: Victim, tmp_path: Path) -> None:
        """What one client was told is stored is there for the next, also after a restart."""
        path = tmp_path / "ledger"
        async with asyncio.timeout(_PATIENCE_S):
            with Ledger(path) as ledger:
                async with victim.client() as storage, Crew(storage, ledger) as crew:
                    await crew.acknowledged(self.writes_a_round)
            reports = []
            async with victim.client() as storage:
                reports.append(await verify(read_ledger(path), storage))
            await victim.restart()
            async with victim.client() as storage:
                reports.append(await verify(read_ledger(path), storage))
        for report in reports:
            assert report.survived, str(report)
            assert report.acknowledged >= self.writes_a_round, str(report)
            assert report.unknown == 0, str(report)


def _of_others(entries: list[Entry], owners: frozenset[str]) -> list[Entry]:
    return [entry for entry in entries if entry.owner not in owners]


def _fired(ledger: Ledger) -> bool:
    return ledger.total("acknowledged", "crons.claim_due") > 0


def _assert_it_proves_something(report: SurvivalReport, entries: list[Entry]) -> None:
    assert report.acknowledged > 0, str(report)
    assert report.unknown > 0, f"no write was under way when the database died: {report}"
    acknowledged = {
        entry.op for entry in entries if entry.outcome == "acknowledged" and entry.effects
    }
    assert acknowledged >= EVERY_CALL, f"never acknowledged: {EVERY_CALL - acknowledged}"
