"""The contract as a test file: each class over the plugin's `storage` and `probe` fixtures.

`pytest --pyargs harness.contract.suite --backend memory` runs it without a tests folder.
"""

import pytest

from harness.contract import ALL
from harness.contract.base import Probe, StorageContract
from harness.storage.extensions import FullStorage

pytestmark = pytest.mark.asyncio(loop_scope="session")  # also where no pytest.ini says so


class OverPlugin(StorageContract):
    """A contract whose fixtures are the plugin's, once for each chosen backend."""

    @pytest.fixture
    def storage(self, storage_backend: str, storage: FullStorage) -> FullStorage:
        """Return the plugin's storage."""
        return storage

    @pytest.fixture
    def probe(self, storage_backend: str, probe: Probe) -> Probe:
        """Return the plugin's probe of it."""
        return probe


for _contract in ALL:
    _name = f"Test{_contract.__name__.removesuffix('Contract')}"
    globals()[_name] = type(
        _name, (OverPlugin, _contract), {"__doc__": _contract.__doc__, "__module__": __name__}
    )
