"""The checkpointer contract, over LangGraph's own savers, whose gaps are named, and ours."""

from langgraph.checkpoint.conformance.capabilities import DetectedCapabilities

from harness.contract.checkpointer import ALL, CheckpointerContract
from harness.contract.checkpointer.base import Saver
from tests.integration.savers.subjects import SUBJECTS

pytest_plugins = ("tests.integration.savers.fixtures",)

TESTS = {name for contract in ALL for name in dir(contract) if name.startswith("test_")}


class Gaps(CheckpointerContract):
    """What is said about a subject is so."""

    async def test_what_it_lacks_is_missing(self, saver: Saver) -> None:
        """A subject lacks just the methods that it is said to lack, so that no test is skipped."""
        missing = {f"a{one.value}" for one in DetectedCapabilities.from_instance(saver).missing}
        needed = {name for contract in ALL for name in contract.needs}
        assert missing & needed == self.lacks

    def test_disagreements_name_tests(self) -> None:
        """Every test that a subject is said to fail is one of the contract's."""
        assert self.disagrees.keys() | self.wavers.keys() <= TESTS


for _subject in SUBJECTS:
    for _contract in (*ALL, Gaps):
        _name = f"Test{_subject.__name__}{_contract.__name__.removesuffix('Contract')}"
        globals()[_name] = type(
            _name, (_subject, _contract), {"__doc__": _contract.__doc__, "__module__": __name__}
        )
