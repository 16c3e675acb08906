"""The contract of items, kept by the audited storage; and harness's fixtures, used from outside."""

import psycopg
import pytest
from audited import (  # type: ignore[import-not-found]  # checked from this repo, it is not on the path
    AuditedStorage,
    Entry,
)

from harness.contract.items import StoreStorageContract
from harness.contract.namespaces import NamespaceContract
from harness.storage.extensions import FullStorage
from harness.storage.memory import MemoryBackend
from harness.storage.probe import Probe


class Audited:
    """Supplies a contract class with the audited storage."""

    @pytest.fixture
    def storage(self, memory_backend: MemoryBackend) -> AuditedStorage:
        """Return the storage under test, on the backend that `memory_probe` looks into."""
        return AuditedStorage(memory_backend)

    @pytest.fixture
    def probe(self, memory_probe: Probe) -> Probe:
        """Return what looks behind it."""
        return memory_probe


class TestAuditedItems(Audited, StoreStorageContract):
    """Items are items, audited or not."""

    async def test_journal(self, storage: AuditedStorage) -> None:
        """Every write is on record."""
        await storage.items.put_item(("a",), "k", {"n": 1}, owner="ada")
        await storage.items.delete_item(("a",), "k", owner="ada")
        assert storage.items.journal == [
            Entry("ada", "put", ("a",), "k"),
            Entry("ada", "delete", ("a",), "k"),
        ]


class TestAuditedNamespaces(Audited, NamespaceContract):
    """Namespaces too."""


async def test_storage_of_every_backend(storage: FullStorage, probe: Probe) -> None:
    """The plugin's own `storage` and `probe` come with the package, for each backend."""
    thread = await storage.threads.create(owner="ada")
    assert [row["thread_id"] for row in await probe.rows("threads")] == [thread.thread_id]


async def test_database_of_its_own(database_url: str) -> None:
    """So does a migrated database."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT count(*) FROM langgraph_server.threads")
        assert await cursor.fetchone() == (0,)
