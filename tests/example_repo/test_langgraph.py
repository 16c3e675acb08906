"""A LangGraph store and a checkpointer, put to the contracts; LangGraph's own stand for any."""

from typing import ClassVar

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from harness.contract.checkpointer import SaverHistoryContract
from harness.contract.langgraph_store import LangGraphStoreContract
from harness.contract.store_base import Age
from harness.contract.store_differences import IN_MEMORY, STORE_DIFFERENCES


class TestStore(LangGraphStoreContract):
    """The store, with what it is known to answer differently."""

    differences = tuple(known for known in STORE_DIFFERENCES if known.store == IN_MEMORY)

    @pytest.fixture
    def store(self) -> InMemoryStore:
        """Return the store under test, empty."""
        return InMemoryStore()

    @pytest.fixture
    def age(self) -> Age:
        """Return what makes its items older; in this one nothing expires."""

        async def do_nothing(seconds: float) -> None:
            """Leave everything as it is."""

        return do_nothing


class TestSaverHistory(SaverHistoryContract):
    """The checkpointer's history, with what it is known to get wrong."""

    disagrees: ClassVar[dict[str, str]] = {
        "test_all_threads_are_listed_by_age": "threads are listed one after another",
        "test_filters_tell_true_from_one": "Python's True equals 1",
        "test_filters_tell_null_from_absent": "an absent key is read as None",
    }

    @pytest.fixture
    def saver(self) -> InMemorySaver:
        """Return the saver under test."""
        return InMemorySaver()
