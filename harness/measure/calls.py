"""What a subject can be asked to do with the rows of a table: the same for backends and floors."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

Call = Callable[[int], Awaitable[object]]
"""Does one thing with row `n`."""

Found = Callable[[], Awaitable[int]]
"""Returns how many rows were found."""


def absent(*_arguments: Any) -> NoReturn:
    """Stand for a call that a table does not have.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("this table has no such call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls whose arguments were made beforehand: timing them times nothing else."""

    create: Call = absent
    create_many: Call = absent
    """Creates rows 0 to `n - 1`."""
    get: Call = absent
    """Reads a row; returns None when it is not there."""
    update: Call = absent
    search: Found = absent
    """Finds the rows with the tag of row 0."""
    newest: Callable[[int], Awaitable[int]] = absent
    """Lists at most that many rows in default order."""
    count: Found = absent
    """Counts the rows with the tag of row 0."""
    delete: Call = absent
