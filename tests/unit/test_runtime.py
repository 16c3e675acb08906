"""The process-wide runtime without a database: memory, said aloud, and safe to shut down."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from time import perf_counter

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from harness import runtime
from harness.config import DatabaseConfig
from harness.errors import ConfigError, DatabaseUnavailable
from harness.runtime import (
    LANGGRAPH_TABLES,
    get_checkpointer,
    get_pool,
    get_storage,
    get_store,
    initialize_database,
    is_postgres_enabled,
    reset_storage,
    shutdown_database,
)

UNREACHABLE = "postgresql://somebody:s3cret@127.0.0.1:1/nothing"
WARNING = logging.getLevelName(logging.WARNING)


@pytest.fixture(autouse=True)
async def _fresh_runtime(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Start and end without a database, without storage, and without its variables."""
    for name in ("DATABASE_URL", "DATABASE_REQUIRED"):
        monkeypatch.delenv(name, raising=False)
    await shutdown_database()
    reset_storage()
    yield
    await shutdown_database()
    reset_storage()


class TestDatabaseAccessorsBeforeInit:
    """What the accessors say before `initialize_database`."""

    def test_postgres_is_not_enabled(self) -> None:
        """Nothing is stored in Postgres."""
        assert is_postgres_enabled() is False

    def test_there_is_no_pool(self) -> None:
        """The pool is None."""
        assert get_pool() is None

    def test_there_is_no_checkpointer(self) -> None:
        """The checkpointer is None."""
        assert get_checkpointer() is None

    def test_there_is_no_store(self) -> None:
        """LangGraph's store is None."""
        assert get_store() is None


class TestShutdownSafety:
    """Shutting down is safe in every state."""

    async def test_before_anything_was_initialized(self) -> None:
        """There is nothing to close."""
        await shutdown_database()
        assert is_postgres_enabled() is False

    async def test_twice_and_at_once(self) -> None:
        """The second finds nothing to do."""
        await initialize_database()
        await asyncio.gather(shutdown_database(), shutdown_database())
        await shutdown_database()
        assert get_pool() is None

    async def test_after_a_failed_start(self) -> None:
        """A database that could not be opened leaves nothing behind to close."""
        await initialize_database(DatabaseConfig(url=UNREACHABLE))
        await shutdown_database()
        assert is_postgres_enabled() is False
        assert get_pool() is None


class TestInitializeWithoutDatabaseUrl:
    """Starting where there is no database."""

    async def test_no_url_means_memory(self) -> None:
        """Without DATABASE_URL it returns False."""
        assert await initialize_database() is False
        assert is_postgres_enabled() is False

    async def test_an_unreachable_host_means_memory_and_one_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It returns False and says why, once and without the password."""
        assert await initialize_database(DatabaseConfig(url=UNREACHABLE)) is False
        warnings = [record.getMessage() for record in caplog.records if record.levelname == WARNING]
        assert len(warnings) == 1
        assert "MEMORY" in warnings[0]
        assert "refused" in warnings[0]
        assert "s3cret" not in caplog.text

    @pytest.mark.slow
    async def test_a_silent_host_is_given_up_within_five_seconds(self) -> None:
        """A host that accepts and never answers does not hold up the start."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            began = perf_counter()
            url = f"postgresql://u@127.0.0.1:{port}/d"
            assert await initialize_database(DatabaseConfig(url=url)) is False
            assert perf_counter() - began < 30

    @pytest.mark.parametrize("url", [None, UNREACHABLE], ids=["no-url", "unreachable"])
    async def test_a_required_database_must_be_there(
        self, monkeypatch: pytest.MonkeyPatch, url: str | None
    ) -> None:
        """With DATABASE_REQUIRED=true it raises instead of storing in memory."""
        monkeypatch.setenv("DATABASE_REQUIRED", "true")
        if url is not None:
            monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(DatabaseUnavailable) as caught:
            await initialize_database()
        assert "s3cret" not in str(caught.value)


class TestLanggraphTablesList:
    """The tables that LangGraph makes for itself."""

    def test_it_names_what_setup_makes(self) -> None:
        """Checkpoints, their blobs and writes, the store, and the migrations of both."""
        assert {
            "checkpoints",
            "checkpoint_blobs",
            "checkpoint_writes",
            "checkpoint_migrations",
            "store",
            "store_migrations",
        } <= set(LANGGRAPH_TABLES)

    def test_it_cannot_be_changed(self) -> None:
        """It is a tuple, each name once."""
        assert isinstance(LANGGRAPH_TABLES, tuple)
        assert len(set(LANGGRAPH_TABLES)) == len(LANGGRAPH_TABLES)


class TestStorageFallback:
    """Storage without a database."""

    async def test_it_is_memory_and_remembers(self) -> None:
        """What was stored through one `get_storage()` is there in the next."""
        await get_storage().threads.create(thread_id=THREAD, owner="ann")
        assert (await get_storage().threads.get(THREAD, owner="ann")).thread_id == THREAD
        await shutdown_database()
        assert await get_storage().threads.count(owner="ann") == 1

    async def test_reset_forgets(self) -> None:
        """After `reset_storage()` there is another, empty storage."""
        before = get_storage()
        await before.threads.create(owner="ann")
        reset_storage()
        assert get_storage() is not before
        assert await get_storage().threads.count(owner="ann") == 0

    async def test_memory_in_use_is_not_swapped_for_a_database(self) -> None:
        """Whoever has stored in memory would lose it without a word."""
        get_storage()
        with pytest.raises(ConfigError, match="already stores in memory"):
            await initialize_database(DatabaseConfig(url=UNREACHABLE))


class TestCheckpointerFallback:
    """The checkpointer without a database."""

    async def test_it_is_memory_once_initialized(self) -> None:
        """There is one in-memory saver, until the database is shut down."""
        assert await initialize_database() is False
        checkpointer = get_checkpointer()
        assert isinstance(checkpointer, InMemorySaver)
        assert get_checkpointer() is checkpointer
        await shutdown_database()
        assert get_checkpointer() is None
        assert await initialize_database() is False
        assert get_checkpointer() is checkpointer

    async def test_it_forgets_what_its_storage_forgets(self) -> None:
        """A thread's deletion takes its checkpoints, and a reset takes all."""
        assert await initialize_database() is False
        checkpointer = get_checkpointer()
        assert isinstance(checkpointer, InMemorySaver)
        await get_storage().threads.create(thread_id=THREAD, owner="ann")
        checkpointer.storage[THREAD][""]["an id"] = (("null", b""), ("null", b""), None)
        await get_storage().threads.delete(THREAD, owner="ann")
        assert THREAD not in checkpointer.storage
        reset_storage()
        assert get_checkpointer() is not checkpointer


def test_every_public_name_exists() -> None:
    """`__all__` names what is there."""
    assert all(hasattr(runtime, name) for name in runtime.__all__)


THREAD = "0192d3a0-0000-7000-8000-000000000001"
