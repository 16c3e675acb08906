"""The contract, kept by the Postgres backend."""

import pytest

from harness.contract import ALL
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe


class Postgres:
    """Supplies a contract class with the Postgres backend."""

    @pytest.fixture
    def storage(self, postgres_storage: FullStorage) -> FullStorage:
        """Return the storage under test."""
        return postgres_storage

    @pytest.fixture
    def probe(self, postgres_probe: Probe) -> Probe:
        """Return what looks behind it."""
        return postgres_probe


for contract in ALL:
    name = f"TestPostgres{contract.__name__.removesuffix('Contract')}"
    globals()[name] = type(name, (Postgres, contract), {"__doc__": contract.__doc__})
