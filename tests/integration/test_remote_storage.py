"""The contract, kept over the wire: by a live server in memory, and by one on Postgres.

Storage is reached through the official client, owners by their tokens. Runs stay pending: the
server executes none. What the API cannot say is planted through a back door (`remote/wired.py`),
and what it says differently is listed (`remote/gaps.py`).
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from harness.contract import ALL, SignatureContract
from harness.contract.base import StorageContract
from harness.contract.concurrency import ConcurrencyContract
from harness.contract.expiry import ItemExpiryContract
from harness.contract.filters import ItemFilterContract
from harness.contract.identity import IdentityContract
from harness.contract.large import LargeValuesContract
from harness.contract.namespaces import ListNamespacesContract, NamespaceContract
from harness.contract.paging import PagingContract
from harness.contract.thread_expiry import ThreadExpiryContract
from harness.contract.values import ValuesContract
from harness.contract.waiting import WaitingRunsContract
from harness.database import ScratchDatabases
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe
from harness.storage.remote import RemoteStorage
from tests.integration.remote.gaps import CHANGES, LACKS, UNSAID
from tests.integration.remote.wired import Wired, wired


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def memory_server() -> AsyncIterator[Wired]:
    """A server in memory."""
    async with wired(None) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database_server(scratch_databases: ScratchDatabases) -> AsyncIterator[Wired]:
    """A server on a database of its own."""
    async with scratch_databases.clone() as url, wired(url) as server:
        yield server


OF_STORAGE = (
    *(ItemExpiryContract, ThreadExpiryContract, WaitingRunsContract),
    *(ConcurrencyContract, IdentityContract, ItemFilterContract, LargeValuesContract),
    *(ListNamespacesContract, NamespaceContract, PagingContract, ValuesContract),
)


class OverTheWire:
    """Supplies a contract class with a server's storage."""

    @pytest_asyncio.fixture(loop_scope="session")
    async def storage(self, server: Wired) -> FullStorage:
        """Return the storage under test, empty."""
        await server.door.empty()
        return server.storage

    @pytest.fixture
    def probe(self, server: Wired) -> Probe:
        """Return what looks behind it."""
        return server.door.probe

    @pytest.fixture(autouse=True)
    def _expect_changes(self, request: pytest.FixtureRequest) -> None:
        name, _, case = request.node.name.removesuffix("]").partition("[")
        for known in CHANGES:
            if isinstance(self, known.of) and known.test == name and case in (known.cases or case):
                request.applymarker(
                    pytest.mark.xfail(reason=known.why, raises=known.raises, strict=True)
                )


class Memory(OverTheWire):
    """Has it store in memory: slow, as the wire is the same, and the backend has its own tests."""

    pytestmark = pytest.mark.slow

    @pytest.fixture
    def server(self, memory_server: Wired) -> Wired:
        """Return the server."""
        return memory_server


class Postgres(OverTheWire):
    """Has it store in a database; what is about values, time and order, not calls, is slow."""

    @pytest.fixture
    def server(self, database_server: Wired) -> Wired:
        """Return the server."""
        return database_server


for contract in ALL:
    if contract in (*UNSAID, SignatureContract):
        continue
    for mode in (Memory, Postgres):
        name = f"TestRemote{mode.__name__}{contract.__name__.removesuffix('Contract')}"
        marks = {"pytestmark": pytest.mark.slow} if contract in OF_STORAGE else {}
        globals()[name] = type(name, (mode, contract), {"__doc__": contract.__doc__, **marks})


def _of_gap(resource: str, method: str) -> bool:
    """Whether a method is one that the API does not have."""
    return any(hasattr(protocol, method) for protocol in LACKS[resource])


@pytest.fixture(scope="module")
def nowhere() -> RemoteStorage:
    """A storage without a server: it is only looked at."""
    return RemoteStorage("http://127.0.0.1:1")


class TestRemoteSignature(SignatureContract):
    """What the interface promises, for what the API has; and what it has not is not there."""

    @pytest.fixture
    def storage(self, nowhere: RemoteStorage) -> RemoteStorage:
        """Return what is looked at."""
        return nowhere

    @pytest.fixture(autouse=True)
    def _expect_gaps(self, request: pytest.FixtureRequest) -> None:
        case = request.node.callspec.params
        if _of_gap(case["resource"], case["name"]):
            request.applymarker(
                pytest.mark.xfail(
                    reason="the API has no such call", raises=AttributeError, strict=True
                )
            )


def test_the_list_names_tests() -> None:
    """What the wire is said to change is a test of its contract, with cases if it names any."""
    for known in CHANGES:
        test = getattr(known.of, known.test)
        has_cases = any(mark.name == "parametrize" for mark in getattr(test, "pytestmark", ()))
        assert has_cases == bool(known.cases), known
        assert known.of not in UNSAID


def test_what_is_unsaid_needs_what_is_lacking() -> None:
    """No contract is left out but for calls that the API does not have."""
    lacking = {protocol for protocols in LACKS.values() for protocol in protocols}
    for one in UNSAID:
        assert issubclass(one, StorageContract)
        assert one.needs
        assert one.needs <= lacking
