"""The store contract on LangGraph's own stores and on ours, as the measurement runs it."""

from harness.contract.langgraph_store import QUESTIONS
from harness.contract.store_differences import STORE_DIFFERENCES
from harness.measure.suites.stores import (
    TestAgentStore,
    TestAsyncPostgresStore,
    TestInMemoryStore,
    stock_database,
    stock_store,
)

__all__ = [
    "TestAgentStore",
    "TestAsyncPostgresStore",
    "TestInMemoryStore",
    "stock_database",
    "stock_store",
]


def test_every_difference_is_of_a_question() -> None:
    """Each declared difference names a test of the contract and says why, and stands there once."""
    assert {known.question for known in STORE_DIFFERENCES} <= QUESTIONS.keys()
    assert all(known.why for known in STORE_DIFFERENCES)
    asked = [(known.store, known.question) for known in STORE_DIFFERENCES]
    assert len(set(asked)) == len(asked)
