"""LangGraph's official conformance functions, each a test, over its own savers and ours."""

from collections.abc import Awaitable, Callable

import pytest
from langgraph.checkpoint.conformance.capabilities import DetectedCapabilities

from harness.contract.checkpointer import CheckpointerContract
from harness.contract.checkpointer.base import Saver
from tests.integration.savers.official import OFFICIAL
from tests.integration.savers.subjects import SUBJECTS

pytest_plugins = ("tests.integration.savers.fixtures",)


class Official(CheckpointerContract):
    """The official functions, which are given a saver and assert."""

    @pytest.mark.parametrize(("capability", "function"), OFFICIAL)
    async def test_conformance(
        self, saver: Saver, capability: str, function: Callable[[Saver], Awaitable[None]]
    ) -> None:
        """A saver that has the capability behaves as the function asks."""
        if capability not in DetectedCapabilities.from_instance(saver).detected:
            assert f"a{capability}" in self.lacks
            pytest.skip(f"the saver has no a{capability}")
        await function(saver)


for _subject in SUBJECTS:
    _name = f"Test{_subject.__name__}"
    globals()[_name] = type(
        _name, (_subject, Official), {"__doc__": Official.__doc__, "__module__": __name__}
    )
