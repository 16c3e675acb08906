"""The checkpointer contract, asked of the subject of this run."""

from typing import Any

import pytest

from harness.contract.checkpointer import ALL
from harness.contract.checkpointer.base import CheckpointerContract, Killer, Saver
from harness.contract.checkpointer.public import PublicProbe

pytestmark = pytest.mark.asyncio(loop_scope="session")


class OfSubject(CheckpointerContract):
    """A contract whose saver is the subject."""

    refuses = None
    stuck_s = 10.0

    @pytest.fixture
    def saver(self, subject: Any) -> Saver:
        """Return the subject."""
        saver: Saver = subject
        return saver

    @pytest.fixture
    def probe(self, saver: Saver) -> PublicProbe:
        """Return what its own reads show."""
        return PublicProbe(saver)

    @pytest.fixture
    def killer(self) -> Killer:
        """Skip: nobody outside can do it."""
        pytest.skip("nobody outside can end a call between two of its rows")


for _contract in ALL:
    _name = f"Test{_contract.__name__.removesuffix('Contract')}"
    globals()[_name] = type(
        _name, (OfSubject, _contract), {"__doc__": _contract.__doc__, "__module__": __name__}
    )
