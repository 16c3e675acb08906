"""The contract over broken backends: each meets the tests of the promise that it breaks.

Not collected by itself: `test_broken_backends.py` runs it in a process of its own, with
`report` and `until_caught` of this folder as plugins, from the root of the repository.
"""

import pytest

from harness.contract import ALL
from harness.contract.base import StorageContract
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe
from tests.integration.broken import expiry, identity, items, queues, states, whole
from tests.integration.broken.fault import SOUND, Fault

MODULES = (states, identity, items, queues, whole, expiry)
FAULTS = [fault for module in MODULES for fault in module.FAULTS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test the backends that break its promise, and after them the sound one."""
    asked = {
        number for marker in metafunc.definition.iter_markers("invariant") for number in marker.args
    }
    broken = [fault for fault in FAULTS if fault.promise in asked]
    metafunc.parametrize("fault", [*broken, SOUND], ids=lambda fault: fault.name)


class OverBroken(StorageContract):
    """A contract whose storage has a fault."""

    @pytest.fixture
    def broken(
        self, fault: Fault, record_property: pytest.FixtureRequest
    ) -> tuple[FullStorage, Probe]:
        """Return a broken storage, and say in the report which."""
        record_property("fault", fault.name)  # type: ignore[operator]  # pytest types it as a fixture
        record_property("promise", fault.promise)  # type: ignore[operator]  # likewise
        return fault.build()

    @pytest.fixture
    def storage(self, broken: tuple[FullStorage, Probe]) -> FullStorage:
        """Return the broken storage."""
        return broken[0]

    @pytest.fixture
    def probe(self, broken: tuple[FullStorage, Probe]) -> Probe:
        """Return the probe of it, which is sound."""
        return broken[1]


for _contract in ALL:
    _name = f"Test{_contract.__name__.removesuffix('Contract')}"
    globals()[_name] = type(
        _name, (OverBroken, _contract), {"__doc__": _contract.__doc__, "__module__": __name__}
    )
