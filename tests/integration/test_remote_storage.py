"""The contract, kept over the wire: by a live server in memory, and by one on Postgres."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from harness.contract import ALL
from harness.database import ScratchDatabases
from harness.faults.served import Served
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe
from harness.storage.remote import RemoteStorage
from tests.integration import owners
from tests.integration.remote.wired import GRAPHS, SERVER, Door, wired


@dataclass
class Backdoored:
    remote: RemoteStorage
    door: Door


@contextlib.asynccontextmanager
async def started(url: str | None) -> AsyncIterator[Backdoored]:
    settings = {**owners.SETTINGS, "HARNESS_CONCURRENCY": "0"}
    async with Served(url, graphs=GRAPHS, settings=settings, command=SERVER) as server:

        def headers(owner: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {owners.token_of(owner)}"}

        async with RemoteStorage(server.url, headers) as remote:
            yield Backdoored(remote, Door(server.http()))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def memory_server() -> AsyncIterator[Backdoored]:
    async with started(None) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def postgres_server_over_http(
    scratch_databases: ScratchDatabases,
) -> AsyncIterator[Backdoored]:
    async with scratch_databases.clone() as url, started(url) as found:
        yield found


class OverTheWire:
    @pytest_asyncio.fixture(loop_scope="session")
    async def storage(self, backdoored: Backdoored) -> FullStorage:
        """Return the storage under test."""
        await backdoored.door.empty()
        return wired(backdoored.remote, backdoored.door)

    @pytest.fixture
    def probe(self, backdoored: Backdoored) -> Probe:
        """Return what looks behind it."""
        return backdoored.door.probe


class Memory(OverTheWire):
    @pytest.fixture
    def backdoored(self, memory_server: Any) -> Any:
        return memory_server


class Postgres(OverTheWire):
    @pytest.fixture
    def backdoored(self, postgres_server_over_http: Any) -> Any:
        return postgres_server_over_http


for contract in ALL:
    for mode in (Memory, Postgres):
        name = f"TestRemote{mode.__name__}{contract.__name__.removesuffix('Contract')}"
        globals()[name] = type(name, (mode, contract), {"__doc__": contract.__doc__})
