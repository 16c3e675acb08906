"""Does one write after another for one owner, and tells the ledger what became of each."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from harness.errors import Conflict, DatabaseUnavailable, OutcomeUnknown, Overloaded
from harness.faults.ledger import Cell, Cells, Effect, Ledger, apply
from harness.models import Json

ResultT = TypeVar("ResultT")


class LifeOver(Exception):
    """The outcome of this owner's last write is unknown."""


class Refused(Exception):
    """A write was certainly not applied; the owner may go on with another."""


class Surprise(AssertionError):
    """A call returned what it must not."""


class Pen:
    """The writes of one owner; `cells` is what the owner must have by now."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self.cells: Cells = {}

    async def write(
        self,
        op: str,
        effects: list[Effect],
        call: Coroutine[Any, Any, ResultT],
        learn: Callable[[ResultT], list[Effect]] | None = None,
    ) -> ResultT:
        """Do one write and record what became of it.

        `learn` makes the effects anew from what the call returned, where that tells more.

        Raises:
            LifeOver: Its outcome is unknown.
            Refused: It was not applied.
        """
        ticket = self._ledger.intend(self._owner, op, effects)
        result = await self._send(ticket, call)
        if learn is not None:
            effects = learn(result)
        self._ledger.acknowledge(ticket, None if learn is None else effects)
        apply(effects, self.cells)
        return result

    async def conflict(
        self, op: str, effects: list[Effect], call: Coroutine[Any, Any, object]
    ) -> None:
        """Do a write that must be refused, because an id in it is taken.

        Raises:
            LifeOver: Its outcome is unknown.
            Refused: The database could not be asked.
            Surprise: It was not refused.
        """
        ticket = self._ledger.intend(self._owner, op, effects)
        try:
            await self._send(ticket, call)
        except Conflict as exc:
            self._ledger.refuse(ticket, exc)
        else:
            raise Surprise(f"{op} with a taken id was not refused")

    def known(self, cell: Cell) -> Json:
        """What a cell holds that this owner has written.

        Raises:
            Refused: It is not there, because the write that was to make it was refused.
        """
        fields = self.cells.get(cell)
        if fields is None:
            raise Refused
        return fields

    async def _send(self, ticket: str, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        try:
            return await call
        except OutcomeUnknown as exc:
            self._ledger.unknown(ticket, exc)
            raise LifeOver from exc
        except (Overloaded, DatabaseUnavailable) as exc:
            self._ledger.refuse(ticket, exc)
            raise Refused from exc
