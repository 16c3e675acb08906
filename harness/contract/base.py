"""What every contract class starts from: the fixtures that a backend supplies, and its gaps."""

from typing import ClassVar

import pytest

from harness.storage.extensions import FullStorage
from harness.storage.probe import TABLES, Probe, RawRow

__all__ = ["TABLES", "Probe", "RawRow", "StorageContract"]


class StorageContract:
    """A capability's promises, as tests; a subclass for a backend supplies the two fixtures.

    ```python
    class TestAssistants(AssistantStoreContract):
        @pytest.fixture
        def storage(self) -> FullStorage:
            return MyStorage()

        @pytest.fixture
        def probe(self, storage: FullStorage) -> Probe:
            return MyProbe(storage)
    ```

    The store is empty when a test begins. Both fixtures may be asynchronous; they and the tests
    run on one event loop where pytest-asyncio's two `…_loop_scope` settings are `session`.
    """

    needs: ClassVar[frozenset[type]] = frozenset()
    """The protocols of `harness.storage.extensions` that the tests call."""
    lacks: ClassVar[frozenset[type]] = frozenset()
    """Those that the backend does not have; a contract that needs one is skipped and says so."""

    @pytest.fixture
    def storage(self) -> FullStorage:
        """Return the storage under test, empty."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `storage` fixture")

    @pytest.fixture
    def probe(self) -> Probe:
        """Return what looks behind the storage under test."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `probe` fixture")

    @pytest.fixture(autouse=True)
    def _skip_where_lacking(self) -> None:
        missing = sorted(protocol.__name__ for protocol in self.needs & self.lacks)
        if missing:
            pytest.skip(f"the backend has no {', '.join(missing)}")
