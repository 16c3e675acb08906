"""Callers of one store at the same moment, one of whom is slow or asks for what cannot be done.

All begin in one turn of the event loop. That is when stores which gather the operations of a
moment into one batch gain most by it, and when their callers share most.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph.store.base import BaseStore, PutOp

from harness.errors import ResultsError
from harness.measure.agent_plans import StoresPlan
from harness.measure.agent_records import Disturbance, StoreMix
from harness.measure.paired import Samples, collection_paused
from harness.measure.rows import OWNER
from harness.measure.store_sites import StoreSite
from harness.persistence.owner import owner_scope

_ARCHIVE: Final = ("archive",)
_WORDS: Final = 1_400


def documents(plan: StoresPlan) -> list[PutOp]:
    """Return what the slow search looks through: long texts with many fields, all alike."""
    value = {**dict.fromkeys(_fields(plan), "yes"), "text": "words " * _WORDS}
    return [PutOp(_ARCHIVE, f"d{number:05}", value) for number in range(plan.archived)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    latency_ms: list[float]
    failed: int
    slow_ms: list[float]


@dataclass(slots=True)
class MixCase:
    """One store under one disturbance; its archive is planted by whoever samples it."""

    site: StoreSite
    disturbance: Disturbance
    plan: StoresPlan
    _rounds: list[_Round] = field(default_factory=list)

    async def sample(self) -> float:
        """Let everybody call once; return the seconds until all are done.

        Raises:
            ResultsError: A caller read something else than it had put, or the slow search found
                something, or the bad operation was taken.
        """
        store, number = self.site.store, len(self._rounds)
        with collection_paused(), owner_scope(OWNER):
            began_s = time.perf_counter()
            good = [
                self._good(store, caller, number, began_s) for caller in range(self.plan.callers)
            ]
            middle = len(good) // 2
            calls = [*good[:middle], self._disturb(store, began_s), *good[middle:]]
            answers = await asyncio.gather(*calls)
            elapsed_s = time.perf_counter() - began_s
        slow_ms = answers.pop(middle)
        done_ms = [ms for ms in answers if ms is not None]
        self._rounds.append(
            _Round(
                latency_ms=sorted(done_ms),
                failed=len(answers) - len(done_ms),
                slow_ms=[] if slow_ms is None else [slow_ms],
            )
        )
        return elapsed_s

    def found(self, kept: Samples, warm_up: int) -> StoreMix:
        """Return the rounds that were kept, as a record."""
        rounds = self._rounds[warm_up : warm_up + len(kept.seconds)]
        return StoreMix(
            subject=self.site.name,
            callers=self.plan.callers,
            disturbance=self.disturbance,
            latency_ms=[one.latency_ms for one in rounds],
            failed=[one.failed for one in rounds],
            slow_ms=[ms for one in rounds for ms in one.slow_ms],
            order=kept.order,
        )

    async def _good(
        self, store: BaseStore, caller: int, number: int, began_s: float
    ) -> float | None:
        """Put an item and read it; return the milliseconds since the start, None if that failed."""
        home, key, value = ("callers", f"c{caller:03}"), f"k{number}", {"n": number}
        try:
            await store.aput(home, key, value)
            item = await store.aget(home, key)
        except Exception:  # noqa: BLE001 -- what it is that fails innocent callers is the store's
            return None
        elapsed_ms = (time.perf_counter() - began_s) * 1_000
        if item is None or item.value != value:
            raise ResultsError(f"{self.site.name} has {item} where {value} was put")
        return elapsed_ms

    async def _disturb(self, store: BaseStore, began_s: float) -> float | None:
        """Be what the others have no part in; return the milliseconds of a slow search."""
        if self.disturbance == "bad operation":
            await self._ask_badly(store)
        if self.disturbance != "slow search":
            return None
        if await store.asearch(_ARCHIVE, filter=_nothing_matches(self.plan)):
            raise ResultsError(f"{self.site.name} finds what does not match")
        return (time.perf_counter() - began_s) * 1_000

    async def _ask_badly(self, store: BaseStore) -> None:
        try:
            await store.asearch(_ARCHIVE, filter={_fields(self.plan)[0]: {"$in": ["yes"]}})
        except ValueError:  # all four refuse an operator that they do not know by one
            return
        raise ResultsError(f"{self.site.name} takes an operator that no store knows")


def _fields(plan: StoresPlan) -> list[str]:
    return [f"field-{number:03}" for number in range(plan.fields)]


def _nothing_matches(plan: StoresPlan) -> dict[str, Any]:
    """A filter that every document meets in each field but the last, so that all are compared."""
    *fields, last = _fields(plan)
    return {**{name: {"$ne": "no"} for name in fields}, last: {"$ne": "yes"}}
