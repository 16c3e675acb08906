"""The savers that are tested, and where each is known to disagree with the contract."""

from typing import ClassVar

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from harness.contract.checkpointer import CheckpointerContract
from harness.persistence.saver import PooledSaver
from tests.integration.savers.memory import MemoryKiller, MemoryProbe
from tests.integration.savers.postgres import PostgresKiller, PostgresSaverProbe

_LOCKED = "iterating holds the saver's lock, so that calling it waits for ever (langgraph #7259)"
_HALF = "a pipeline that is cancelled between two of its statements commits the first"
_STUCK_S = 0.5


class Memory(CheckpointerContract):
    """LangGraph's saver in memory."""

    lacks = frozenset({"aprune", "acopy_thread", "adelete_for_runs"})
    disagrees: ClassVar[dict[str, str]] = {
        "test_a_config_names_its_checkpoint": "a tuple read by id has the caller's own config",
        "test_a_whole_number_names_a_thread": 'threads 7 and "7" are two',
        "test_a_refused_put_leaves_nothing": "blobs are stored before all are serialized",
        "test_refused_writes_leave_nothing": "writes are stored before all are serialized",
        "test_a_namespace_begun_while_iterating": "the dict of namespaces changes while iterated",
        "test_the_list_of_a_thread_has_all_namespaces": "namespaces are listed one after another",
        "test_all_threads_are_listed_by_age": "threads are listed one after another",
        "test_filters_tell_true_from_one": "Python's True equals 1",
        "test_filters_tell_null_from_absent": "an absent key is read as None",
    }

    @pytest.fixture
    def saver(self) -> InMemorySaver:
        """Return a new saver."""
        return InMemorySaver()

    @pytest.fixture
    def probe(self, saver: InMemorySaver) -> MemoryProbe:
        """Return what looks behind it."""
        return MemoryProbe(saver)

    @pytest.fixture
    def killer(self) -> MemoryKiller:
        """Return what kills its calls."""
        return MemoryKiller()


class _Postgres(CheckpointerContract):
    """A saver over LangGraph's tables."""

    refuses = frozenset(
        {  # what jsonb cannot hold; plain channel values are in jsonb too, the others are blobs
            "NaN in metadata",
            "infinity in metadata",
            "NUL deep in metadata",
            "NUL in a key of metadata",
            "NaN channel",
            "NUL in a text channel",
        }
    )

    @pytest.fixture
    def probe(self, observer: AsyncConnection[TupleRow]) -> PostgresSaverProbe:
        """Return what looks behind the saver."""
        return PostgresSaverProbe(observer)

    @pytest.fixture
    def killer(
        self, holder: AsyncConnection[TupleRow], observer: AsyncConnection[TupleRow]
    ) -> PostgresKiller:
        """Return what kills its calls."""
        return PostgresKiller(holder, observer)


class _Stock(_Postgres):
    """LangGraph's saver over Postgres, as it comes."""

    lacks = frozenset({"acopy_thread", "adelete_for_runs"})
    stuck_s = 0.4

    disagrees: ClassVar[dict[str, str]] = {
        "test_a_whole_number_names_a_thread": "Postgres has no `text = smallint`: no 7 is found",
        "test_reading_and_writing_while_iterating": _LOCKED,
        "test_a_namespace_begun_while_iterating": _LOCKED,
    }
    wavers: ClassVar[dict[str, str]] = {
        "test_a_cancelled_put_is_whole_or_absent": _HALF,
        "test_cancelled_writes_are_whole_or_absent": _HALF,
    }


class StockConnection(_Stock):
    """LangGraph's saver over one connection: slow, as it is the same over a pool."""

    pytestmark = pytest.mark.slow
    disagrees: ClassVar[dict[str, str]] = {
        **_Stock.disagrees,
        "test_a_saver_outlives_a_killed_call": "the connection died, and it has no other",
    }

    @pytest.fixture
    def saver(self, stock_connection_saver: AsyncPostgresSaver) -> AsyncPostgresSaver:
        """Return a new saver."""
        return stock_connection_saver


class StockPool(_Stock):
    """LangGraph's saver over a pool."""

    @pytest.fixture
    def saver(self, stock_pool_saver: AsyncPostgresSaver) -> AsyncPostgresSaver:
        """Return a new saver."""
        return stock_pool_saver


class Ours(_Postgres):
    """This project's saver, over a pool."""

    refuses = _Postgres.refuses - {"NaN channel", "NUL in a text channel"}

    @pytest.fixture
    def saver(self, our_saver: PooledSaver) -> PooledSaver:
        """Return a new saver."""
        return our_saver


SUBJECTS: tuple[type[CheckpointerContract], ...] = (Memory, StockConnection, StockPool, Ours)
