"""The contract, kept by the memory backend."""

import pytest

from harness.contract import ALL
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe


class Memory:
    """Supplies a contract class with the memory backend."""

    @pytest.fixture
    def storage(self, memory_storage: FullStorage) -> FullStorage:
        """Return the storage under test."""
        return memory_storage

    @pytest.fixture
    def probe(self, memory_probe: Probe) -> Probe:
        """Return what looks behind it."""
        return memory_probe


for contract in ALL:
    name = f"TestMemory{contract.__name__.removesuffix('Contract')}"
    globals()[name] = type(name, (Memory, contract), {"__doc__": contract.__doc__})
