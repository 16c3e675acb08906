"""Concurrent programs: several tasks on the same few rows at once, and what each call came to.

`programs` generates them, `run_program` runs one on a storage and records its history, and
`harness.contract.outcomes.check` says whether the outcome can be.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from harness.contract.stateful.strategies import fixed_id
from harness.errors import Conflict, LeaseLost, NotFound
from harness.models import ClaimedRun
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OWNER: Final = "ada"
ASSISTANT: Final = fixed_id("a")
ARENA: Final = fixed_id("arena")
"""The thread on which only `reject` runs are tried."""
SHARED: Final = tuple(fixed_id(f"thread{slot}") for slot in range(2))
CRONS: Final = tuple(fixed_id(f"cron{slot}") for slot in range(2))
BORN: Final = tuple(fixed_id(f"born{slot}") for slot in range(2))
"""Threads that nobody made yet."""
DUE: Final = datetime(2021, 1, 1, tzinfo=UTC)
SPACE: Final = ("shared",)

Kind = Literal[
    "update_assistant",
    "update_thread",
    "add_state",
    "enqueue",
    "reject",
    "work",
    "hand_back",
    "cancel",
    "delete_run",
    "delete_thread",
    "do_nothing",
    "put",
    "delete_item",
    "put_own",
    "fire",
]
_EXPECTED: Final = NotFound | Conflict | LeaseLost


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, to one of a few shared rows."""

    kind: Kind
    slot: int


Program = list[list[Step]]
"""The steps of each task."""


@dataclass(slots=True)
class Call:
    """One call of a history; times are ticks of one counter."""

    task: int
    step: Step
    mark: str
    """Unique to the call, written wherever the call writes."""
    began: int
    ended: int = 0
    answer: Any = None
    error: Exception | None = None

    def __str__(self) -> str:
        came_to = type(self.error).__name__ if self.error else self.answer
        return (
            f"[{self.began:3}-{self.ended:3}] task {self.task}: "
            f"{self.step.kind}({self.step.slot}) as {self.mark} -> {came_to!s:.160}"
        )


@dataclass(slots=True)
class History:
    """All calls of a program's run."""

    calls: list[Call] = field(default_factory=list)

    def done(self, *kinds: Kind) -> list[Call]:
        """Return the calls of some kinds that succeeded."""
        return [call for call in self.calls if call.step.kind in kinds and call.error is None]

    def tried(self, *kinds: Kind) -> list[Call]:
        """Return all calls of some kinds."""
        return [call for call in self.calls if call.step.kind in kinds]

    def unexpected(self) -> list[Call]:
        """Return the calls that failed as no interleaving explains."""
        return [call for call in self.calls if not isinstance(call.error, _EXPECTED | None)]

    def __str__(self) -> str:
        return "\n".join(str(call) for call in sorted(self.calls, key=lambda call: call.began))


def programs(*, tasks: int = 4, steps: int = 6) -> SearchStrategy[Program]:
    """Return a strategy for programs of two to `tasks` tasks with up to `steps` steps each."""
    step = st.builds(Step, st.sampled_from(get_args(Kind)), st.integers(0, 1))
    return st.lists(st.lists(step, min_size=1, max_size=steps), min_size=2, max_size=tasks)


async def run_program(program: Program, storage: FullStorage, probe: Probe) -> History:
    """Run all tasks at once on an empty storage; return what happened."""
    await _furnish(storage, probe)
    run = _Run(storage)
    async with asyncio.TaskGroup() as group:
        for task, steps in enumerate(program):
            group.create_task(run.task(task, steps))
    return run.history


async def _furnish(storage: FullStorage, probe: Probe) -> None:
    await storage.assistants.create("agent", assistant_id=ASSISTANT, owner=OWNER)
    for thread_id in (ARENA, *SHARED):
        await storage.threads.create(thread_id=thread_id, owner=OWNER)
    for cron_id in CRONS:
        await storage.crons.create(ASSISTANT, schedule="0 0 1 1 *", cron_id=cron_id, owner=OWNER)
        await probe.update("crons", {"next_run_date": DUE}, cron_id=cron_id)


class _Run:
    """One run of a program."""

    def __init__(self, storage: FullStorage) -> None:
        self._storage = storage
        self._ticks = count(1)
        self.history = History()

    async def task(self, task: int, steps: list[Step]) -> None:
        for number, step in enumerate(steps):
            call = Call(task, step, f"{task}-{number}", next(self._ticks))
            self.history.calls.append(call)
            act: Callable[[Call], Awaitable[Any]] = getattr(self, f"_{step.kind}")
            try:
                call.answer = await act(call)
            except Exception as exc:  # noqa: BLE001 -- `unexpected` reports it with the history
                call.error = exc
            call.ended = next(self._ticks)
            await asyncio.sleep(0)  # memory never suspends: let the other tasks in

    async def _update_assistant(self, call: Call) -> Any:
        return await self._storage.assistants.update(
            ASSISTANT, metadata={call.mark: 1}, owner=OWNER
        )

    async def _update_thread(self, call: Call) -> Any:
        return await self._storage.threads.update(
            SHARED[call.step.slot], metadata={call.mark: 1}, owner=OWNER
        )

    async def _add_state(self, call: Call) -> Any:
        return await self._storage.threads.add_state(
            SHARED[call.step.slot], {"mark": call.mark}, owner=OWNER
        )

    async def _enqueue(self, call: Call) -> Any:
        return await self._storage.runs.create(SHARED[call.step.slot], ASSISTANT, owner=OWNER)

    async def _reject(self, call: Call) -> Any:
        return await self._storage.runs.create(
            ARENA, ASSISTANT, multitask_strategy="reject", after_seconds=1_000, owner=OWNER
        )

    async def _work(self, call: Call) -> Any:
        claimed = await self._storage.runs.claim(lease_s=600)
        if claimed is not None:
            call.answer = claimed
            lease = await self._storage.runs.heartbeat(claimed.lease, lease_s=600, owner=OWNER)
            await self._storage.runs.finish(lease, "success", error=call.mark, owner=OWNER)
        return claimed

    async def _hand_back(self, call: Call) -> Any:
        claimed = await self._storage.runs.claim(lease_s=600)
        if claimed is not None:
            call.answer = claimed
            await self._storage.runs.hand_back(claimed.lease, owner=OWNER)
        return claimed

    async def _cancel(self, call: Call) -> Any:
        thread_id = SHARED[call.step.slot]
        active = await self._storage.runs.get_active(thread_id, owner=OWNER)
        if active is None:
            return None
        return await self._storage.runs.update_status(
            thread_id, active.run_id, "interrupted", error=call.mark, owner=OWNER
        )

    async def _delete_run(self, call: Call) -> Any:
        thread_id = SHARED[call.step.slot]
        active = await self._storage.runs.get_active(thread_id, owner=OWNER)
        if active is None:
            return None
        await self._storage.runs.delete(thread_id, active.run_id, owner=OWNER)
        return active.run_id

    async def _delete_thread(self, call: Call) -> Any:
        return await self._storage.threads.delete(SHARED[1], owner=OWNER)

    async def _do_nothing(self, call: Call) -> Any:
        return await self._storage.threads.create(
            thread_id=BORN[call.step.slot],
            metadata={"by": call.mark},
            if_exists="do_nothing",
            owner=OWNER,
        )

    async def _put(self, call: Call) -> Any:
        await self._storage.items.put_item(
            SPACE, str(call.step.slot), {"mark": call.mark}, owner=OWNER
        )

    async def _delete_item(self, call: Call) -> Any:
        await self._storage.items.delete_item(SPACE, str(call.step.slot), owner=OWNER)

    async def _put_own(self, call: Call) -> Any:
        rows = [
            {"namespace": ("own", call.mark), "key": key, "value": {"mark": call.mark}}
            for key in ("x", "y")
        ]
        await self._storage.items.put_many(rows, owner=OWNER)

    async def _fire(self, call: Call) -> Any:
        return await self._storage.crons.claim_due(owner=OWNER)


def claims(history: History) -> list[ClaimedRun]:
    """Return every claim of a history, those of calls that failed later too."""
    answers = [call.answer for call in history.tried("work", "hand_back")]
    return [answer for answer in answers if answer is not None]
