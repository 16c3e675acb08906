"""Validating and copying, the floor of creates in memory: what no backend can do without.

Each record's arguments are checked and copied on the way in, and its JSON is copied once more on
the way out, so that neither caller nor store can change the other's.
"""

from collections.abc import Callable
from typing import Any, Final

from harness.errors import ResultsError
from harness.measure import rows
from harness.measure.rows import OWNER, Resource
from harness.storage.checks import check_address, check_id, check_name, check_owner
from harness.storage.schedule import check_schedule
from harness.storage.values import canonical_object, check_text

_CHECKS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "graph_id": check_name,
    "name": check_name,
    "description": check_text,
    "thread_id": lambda value, _: check_id(value, "thread"),
    "assistant_id": lambda value, _: check_id(value, "assistant"),
    "schedule": lambda value, _: check_schedule(value),
}


class ValidateAndCopy:
    """Validates and copies the arguments of new rows (a `harness.measure.paired.Case`).

    Args:
        resource: Whose rows.
        size: How many.
    """

    def __init__(self, resource: Resource, size: int) -> None:
        self._resource: Resource = resource
        self._size = size
        self._new: list[dict[str, Any]] = []
        self._copied: list[dict[str, Any]] = []

    async def prepare(self) -> None:
        """Make the arguments."""
        self._new = [rows.new(self._resource, n) for n in range(self._size)]

    async def run(self) -> None:
        """Validate and copy them all."""
        self._copied = [_copied(row) for row in self._new]

    async def verify(self) -> None:
        """Compare the copies with the arguments.

        Raises:
            ResultsError: They are not equal.
        """
        if self._copied != self._new:
            raise ResultsError(f"the copies of {self._resource} are not what was given")


def _copied(row: dict[str, Any]) -> dict[str, Any]:
    check_owner(OWNER)
    if "key" in row:
        check_address(row["namespace"], row["key"])
    kept: dict[str, Any] = {}
    for name, value in row.items():
        check = _CHECKS.get(name)
        if check is not None:
            kept[name] = check(value, name)
        elif isinstance(value, dict):
            kept[name] = canonical_object(canonical_object(value, name), name)
        else:
            kept[name] = value
    return kept
