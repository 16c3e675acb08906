"""Times reads of a thread's state and history, on short threads and long ones side by side."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, get_args

from harness.errors import ResultsError
from harness.measure.growing import config_of, texts_of
from harness.measure.long_threads import CutThread
from harness.measure.names import CHECKPOINTS
from harness.measure.paired import Subject, timed
from harness.measure.records import Timing
from harness.measure.timing import Timed, time_side_by_side

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot

Call = Literal["state", "history_10"]
CALLS: Final[tuple[Call, ...]] = get_args(Call)
_PAGE: Final = 10


class ReadCase:
    """One read of one thread through its graph (a `harness.measure.paired.Case`).

    Args:
        thread: Whose checkpoints are read.
        call: `state` reads the newest state, `history_10` the ten newest.
    """

    def __init__(self, thread: CutThread, call: Call) -> None:
        self._thread, self._call = thread, call
        self._config = config_of(thread.thread_id)
        self._found: list[StateSnapshot] = []

    async def prepare(self) -> None:
        """Forget what was read before."""
        self._found = []

    async def run(self) -> None:
        """Read."""
        graph = self._thread.graph
        if self._call == "state":
            self._found = [await graph.aget_state(self._config)]
        else:
            history = graph.aget_state_history(self._config, limit=_PAGE)
            self._found = [state async for state in history]

    async def verify(self) -> None:
        """See that as many states were found as there are, and every message in the newest.

        Raises:
            ResultsError: Something is missing.
        """
        wanted = 1 if self._call == "state" else min(_PAGE, self._thread.checkpoints)
        if len(self._found) != wanted or tuple(texts_of(self._found[0])) != self._thread.said:
            raise ResultsError(
                f"{self._call} of {self._thread.thread_id} found {len(self._found)} states of "
                f"{wanted}, or other messages"
            )


async def time_reads(
    call: Call,
    threads: Sequence[CutThread],
    into: list[Timing],
    *,
    rounds: int,
    budget_s: float,
    on_sample: Callable[[], None] = lambda: None,
) -> None:
    """Sample a read on all of these threads side by side."""

    def sampled(thread: CutThread) -> Timed:
        case = ReadCase(thread, call)
        return Timed(
            subject=Subject(thread.channels, lambda: timed(case)),
            workload=f"{call}_at_{thread.checkpoints}",
            resource=CHECKPOINTS,
            operations=1,
        )

    await time_side_by_side(
        [sampled(thread) for thread in threads],
        into,
        rounds=rounds,
        budget_s=budget_s,
        on_sample=on_sample,
    )
