"""The store contract, asked of the subject of this run, which must be empty."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from langgraph.store.base import BaseStore

from harness.contract.langgraph_store import LangGraphStoreContract
from harness.contract.store_base import Age
from harness.verdicts.opening import Opening

pytestmark = pytest.mark.asyncio(loop_scope="session")
_MANY = 10_000


@pytest_asyncio.fixture(loop_scope="session")
async def empty_store(subject: Any, opening: Opening) -> AsyncIterator[BaseStore]:
    """Yield the subject, which holds nothing; delete what a test has put there."""
    store: BaseStore = subject
    if await store.asearch((), limit=1):
        pytest.skip("the store holds items, and nothing of anybody's is touched: name an empty one")
    yield store
    for item in await store.asearch((), limit=_MANY):
        await store.adelete(item.namespace, item.key)
    if await store.alist_namespaces(limit=1):
        await opening.close()  # it lists namespaces without items


class TestStore(LangGraphStoreContract):
    """The contract, on the subject."""

    @pytest.fixture
    def store(self, empty_store: BaseStore) -> BaseStore:
        """Return the subject."""
        return empty_store

    @pytest.fixture
    def age(self) -> Age:
        """Skip: nobody outside can do it."""
        pytest.skip("nobody outside can make a store's items older")
