"""What every checkpointer contract starts from: a saver's fixtures, its gaps and its quirks."""

from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, Literal, Protocol

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver

Saver = BaseCheckpointSaver[Any]
Kept = Literal["checkpoints", "blobs", "writes"]
KEPT: tuple[Kept, ...] = ("checkpoints", "blobs", "writes")
"""What a saver keeps of a thread, table by table."""


class SaverProbe(Protocol):
    """Looks behind a saver, with none of its methods."""

    sees_hidden: bool
    """Whether it sees writes whose checkpoint is not there, which no read shows."""

    async def count(self, kept: Kept, thread_id: str) -> int:
        """Count what is stored of a thread, in all its namespaces."""


class Killer(Protocol):
    """Ends calls of a saver halfway, as a crash does."""

    async def during_put(self, call: Coroutine[Any, Any, Any], config: Any) -> bool:
        """Make the call, an `aput` of the checkpoint in `config`, and kill it between two rows.

        Returns:
            Whether the call was over before it could be killed.
        """

    async def during_writes(
        self, call: Coroutine[Any, Any, Any], config: Any, task_id: str, last: int
    ) -> bool:
        """Make the call, an `aput_writes` whose last index is `last`, and kill it between two rows.

        Returns:
            Whether the call was over before it could be killed.
        """


class CheckpointerContract:
    """A checkpointer's promises, as tests; a subclass for a saver supplies the fixtures.

    Tests use threads of their own, so a saver need not be empty when one begins. Fixtures may be
    asynchronous, as those of `harness.contract.base.StorageContract`.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    """Methods that the tests call and that a saver may do without."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """Those that the saver does not have; a contract that needs one is skipped and says so."""
    disagrees: ClassVar[Mapping[str, str]] = {}
    """Tests that the saver is known to fail, by name, and why: one that passes is an error."""
    wavers: ClassVar[Mapping[str, str]] = {}
    """Tests whose outcome on the saver is a matter of luck, by name, and why: they are skipped."""
    refuses: ClassVar[frozenset[str] | None] = frozenset()
    """Names of the odd values (`harness.contract.checkpointer.odd.ODD`) that it does not store;
    None: whichever it refuses."""
    patience_s: ClassVar[float] = 120.0
    """How long fifty tasks may take together, in seconds."""
    stuck_s: ClassVar[float] = 60.0
    """How long a few calls may take before they count as stuck, in seconds."""

    @pytest.fixture
    def saver(self) -> Saver:
        """Return the saver under test."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `saver` fixture")

    @pytest.fixture
    def probe(self) -> SaverProbe:
        """Return what looks behind the saver under test."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `probe` fixture")

    @pytest.fixture
    def killer(self) -> Killer:
        """Return what kills calls of the saver under test."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `killer` fixture")

    @pytest.fixture(autouse=True)
    def _expect_what_is_known(self, request: pytest.FixtureRequest) -> None:
        if missing := sorted(self.needs & self.lacks):
            pytest.skip(f"the saver has no {', '.join(missing)}")
        name = getattr(request.node, "originalname", request.node.name)
        if reason := self.disagrees.get(name):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
        if reason := self.wavers.get(name):
            pytest.skip(f"the saver is known to fail it now and then: {reason}")
