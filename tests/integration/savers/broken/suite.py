"""The checkpointer contract over broken savers: each meets the class that it breaks.

Not collected by itself: `test_broken_savers.py` runs it in a process of its own, with
`tests.integration.broken.report` as a plugin, from the root of the repository.
"""

from collections.abc import Callable
from typing import Any

import pytest

from harness.contract.checkpointer import ALL, CheckpointerContract
from tests.integration.savers.broken import acting, keeping, shortening
from tests.integration.savers.broken.sound import Sound
from tests.integration.savers.memory import MemoryKiller, MemoryProbe

FAULTS: dict[type[Sound], type[CheckpointerContract]] = {
    **keeping.FAULTS,
    **acting.FAULTS,
    **shortening.FAULTS,
}
"""Every fault, and the contract class whose promise it breaks."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask each broken saver for what it breaks, and the sound one for everything."""
    broken = [fault for fault, contract in FAULTS.items() if issubclass(metafunc.cls, contract)]
    metafunc.parametrize("fault", [Sound, *broken], ids=lambda fault: fault.__name__)


class OverBroken(CheckpointerContract):
    """A contract whose saver has a fault."""

    stuck_s = 0.5

    @pytest.fixture
    def saver(self, fault: type[Sound], record_property: Callable[[str, Any], None]) -> Sound:
        """Return a broken saver, and say in the report which."""
        record_property("fault", fault.__name__)
        return fault()

    @pytest.fixture
    def probe(self, saver: Sound) -> MemoryProbe:
        """Return the probe of it, which is sound."""
        return MemoryProbe(saver)

    @pytest.fixture
    def killer(self) -> MemoryKiller:
        """Return what kills its calls."""
        return MemoryKiller()


for _contract in ALL:
    _name = f"Test{_contract.__name__.removesuffix('Contract')}"
    globals()[_name] = type(
        _name, (OverBroken, _contract), {"__doc__": _contract.__doc__, "__module__": __name__}
    )
