"""The process-wide default: one database or memory, chosen once at boot, and its accessors.

Tests and notebooks open a `Database` of their own instead; this is for servers, and for code that
was written against the interface of these functions.
"""

import asyncio
import logging

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from harness.config import DatabaseConfig, ItemTtlConfig, ThreadTtlConfig
from harness.database import Database, Pool, Usage
from harness.errors import ConfigError, DatabaseUnavailable
from harness.persistence import AgentStore, PooledSaver, memory_saver, setup_langgraph
from harness.schema import LANGGRAPH_TABLES
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

__all__ = [
    "LANGGRAPH_TABLES",
    "DatabaseConfig",
    "get_checkpointer",
    "get_pool",
    "get_pool_usage",
    "get_storage",
    "get_store",
    "initialize_database",
    "is_postgres_enabled",
    "reset_storage",
    "shutdown_database",
]

logger = logging.getLogger(__name__)


class _Runtime:
    """What this process stores in."""

    def __init__(self) -> None:
        self.database: Database | None = None
        self.storage: FullStorage | None = None
        self._initialized = False
        self._checkpointer: BaseCheckpointSaver[str] | None = None
        self._store: AgentStore | None = None
        self._serde: SerializerProtocol | None = None
        self._stores_configurable = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._thread_ttl: ThreadTtlConfig | None = None
        self._item_ttl: ItemTtlConfig | None = None

    def _mutex(self) -> asyncio.Lock:
        """Return the lock of the running event loop; a lock serves one loop only."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self.database is not None and self._loop is not None and self._loop.is_closed():
                # Its connections ended with its loop.
                self.database = self.storage = self._checkpointer = None
                self._initialized = False
            if self.database is not None:
                raise ConfigError("the database belongs to another event loop of this process")
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock

    async def initialize(
        self,
        config: DatabaseConfig,
        serde: SerializerProtocol | None,
        stores_configurable: bool,
        thread_ttl: ThreadTtlConfig | None,
        item_ttl: ItemTtlConfig | None,
    ) -> bool:
        async with self._mutex():
            if self.storage is None:
                self._thread_ttl, self._item_ttl = thread_ttl, item_ttl
            if self.database is not None:
                if self.database.config.url != config.url:
                    raise ConfigError(
                        "another database is open in this process "
                        f"({self.database.config.safe_url}); call shutdown_database() first"
                    )
                return True
            self._serde, self._stores_configurable = serde, stores_configurable
            if not config.is_configured:
                if config.required:
                    raise DatabaseUnavailable(
                        "DATABASE_REQUIRED is set, but DATABASE_URL names no database"
                    )
                self._initialized = True
                return False
            if self.storage is not None:
                raise ConfigError(
                    "this process already stores in memory, and would forget that; initialize the "
                    "database before get_storage(), or call reset_storage() first"
                )
            self.database = await _open(config)
            if self.database is not None:
                self._checkpointer = PooledSaver(
                    self.database, serde=serde, stores_configurable=stores_configurable
                )
            self._initialized = True
            return self.database is not None

    async def shutdown(self) -> None:
        async with self._mutex():
            database, self.database = self.database, None
            self._initialized = False
            if database is not None:
                self.storage = self._checkpointer = None
                await database.close()

    def get_storage(self) -> FullStorage:
        if self.storage is None:
            if self.database is None:
                backend = MemoryBackend()
                self._checkpointer = memory_saver(
                    backend, serde=self._serde, stores_configurable=self._stores_configurable
                )
                self.storage = LocalStorage(backend, thread_ttl=self._thread_ttl)
            else:
                postgres = PostgresBackend(self.database)
                self.storage = LocalStorage(postgres, thread_ttl=self._thread_ttl)
            self._store = AgentStore(self.storage, self._item_ttl)
        return self.storage

    def get_checkpointer(self) -> BaseCheckpointSaver[str] | None:
        if not self._initialized:
            return None
        self.get_storage()  # in memory, the two are made together
        return self._checkpointer

    def get_store(self) -> AgentStore | None:
        if not self._initialized:
            return None
        self.get_storage()  # the two are made together
        return self._store


async def _open(config: DatabaseConfig) -> Database | None:
    """Return the open, migrated database, or None if it cannot be reached and need not be."""
    database = Database(config)
    try:
        await database.open()
        await database.migrate()
        await setup_langgraph(database)
    except DatabaseUnavailable as exc:
        await database.close()
        if config.required:
            raise
        logger.warning(
            "STORING IN MEMORY ONLY, everything will be forgotten when this process ends: %s. "
            "Set DATABASE_REQUIRED=true to refuse to start instead.",
            exc,
        )
        return None
    except BaseException:
        await database.close()
        raise
    return database


_runtime = _Runtime()


async def initialize_database(
    config: DatabaseConfig | None = None,
    *,
    serde: SerializerProtocol | None = None,
    stores_configurable: bool = True,
    thread_ttl: ThreadTtlConfig | None = None,
    item_ttl: ItemTtlConfig | None = None,
) -> bool:
    """Open and migrate the database of this process; return whether it stores in Postgres.

    LangGraph's own tables are set up too, whatever number of processes boots at once.

    Without a URL, or when the database cannot be reached within 5 seconds, the process stores in
    memory, and the log says so. Once the database is open, calling again with the same URL changes
    nothing; of concurrent calls one opens it.

    Args:
        config: What to open; from the environment by default.
        serde: How the checkpointer serializes; by default as `harness.persistence.Serializer`.
        stores_configurable: Whether its metadata take up what a config's `configurable` says.
        thread_ttl: How long threads live for which nothing is said; by default for ever.
        item_ttl: How long items live that graphs put without saying it; by default for ever.

    Raises:
        DatabaseUnavailable: It cannot be reached, and `required` is set.
        SchemaMismatch: Its schema is newer than this version, or was made by other files.
        ConfigError: A setting is wrong, another database is open, or memory is in use already.
    """
    return await _runtime.initialize(
        DatabaseConfig.from_env() if config is None else config,
        serde,
        stores_configurable,
        thread_ttl,
        item_ttl,
    )


async def shutdown_database() -> None:
    """Close the database; safe in every state, and twice. Storage in memory is kept."""
    await _runtime.shutdown()


def is_postgres_enabled() -> bool:
    """Whether this process stores in Postgres."""
    return _runtime.database is not None


def get_pool() -> Pool | None:
    """Return the open pool, or None when this process stores in memory."""
    return None if _runtime.database is None else _runtime.database.pool


def get_pool_usage() -> Usage | None:
    """Return how the pool's connections have been used, or None in memory mode."""
    return None if _runtime.database is None else _runtime.database.usage


def get_checkpointer() -> BaseCheckpointSaver[str] | None:
    """Return LangGraph's checkpointer: a `PooledSaver`, or an `InMemorySaver` in memory mode.

    None before `initialize_database()` and after `shutdown_database()`. In memory mode it belongs
    to the storage of `get_storage()`, and `reset_storage()` forgets both.
    """
    return _runtime.get_checkpointer()


def get_store() -> AgentStore | None:
    """Return LangGraph's store over the items of `get_storage()`, in both modes.

    None before `initialize_database()` and after `shutdown_database()`. Whose items they are says
    `harness.persistence.owner_scope` around each run.
    """
    return _runtime.get_store()


def get_storage() -> FullStorage:
    """Return what this process stores in: the same object until `reset_storage()`.

    Memory before `initialize_database()` and where that returned False.
    """
    return _runtime.get_storage()


def reset_storage() -> None:
    """Forget the storage object, and with it whatever was stored in memory only."""
    _runtime.storage = None
