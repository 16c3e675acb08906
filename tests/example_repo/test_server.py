"""The contract of namespaces, kept by a server at a URL; one that starts here stands for any."""

from collections.abc import AsyncIterator

import pytest

from harness.contract import ListNamespacesContract
from harness.contract.builders import ALICE
from harness.faults.served import Served
from harness.storage.remote import RemoteStorage


@pytest.fixture(scope="session")
async def server_url() -> AsyncIterator[str]:
    """Return where the server is."""
    async with Served() as server:
        yield server.url


class TestServersNamespaces(ListNamespacesContract):
    """Namespaces are namespaces, over HTTP too."""

    @pytest.fixture
    async def storage(self, server_url: str) -> AsyncIterator[RemoteStorage]:
        """Return the storage under test, emptied by its own means."""
        async with RemoteStorage(server_url) as storage:
            for item in await storage.items.search_items((), limit=1_000, owner=ALICE):
                await storage.items.delete_item(item.namespace, item.key, owner=ALICE)
            yield storage
