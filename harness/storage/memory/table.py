"""One table: rows by their key, and by the groups that queries look for."""

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from threading import RLock
from typing import Any, Final, Generic, TypeVar

RowT = TypeVar("RowT")


class Table(Generic[RowT]):
    """Rows in the order of their insertion.

    Args:
        key: A row's primary key.
        groups: For each index, a row's group in it; None leaves the row out.
    """

    def __init__(
        self, key: Callable[[RowT], Hashable], **groups: Callable[[RowT], Hashable | None]
    ) -> None:
        self.lock: Final = RLock()
        """Held while a row changes or goes; a thread that holds it has every row stay as it is."""
        self._key = key
        self._rows: dict[Hashable, RowT] = {}
        self._group_of = groups
        self._groups: dict[str, dict[Hashable, dict[Hashable, RowT]]] = {
            name: {} for name in groups
        }
        self._on_leave: dict[str, list[Callable[[Hashable], None]]] = {name: [] for name in groups}

    def __iter__(self) -> Iterator[RowT]:
        return iter(list(self._rows.values()))

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def __getitem__(self, key: Hashable) -> RowT:
        return self._rows[key]

    def get(self, key: Hashable) -> RowT | None:
        """Return the row of a key."""
        return self._rows.get(key)

    def group(self, index: str, group: Hashable) -> list[RowT]:
        """Return the rows of one group of an index."""
        return list(self._groups[index].get(group, {}).values())

    def groups(self, index: str) -> list[Hashable]:
        """Return the groups of an index that have rows."""
        return list(self._groups[index])

    def on_leave(self, index: str, call: Callable[[Hashable], None]) -> Callable[[], None]:
        """Call, as a trigger would, with each group of an index that a row leaves from now on.

        Args:
            index: Which.
            call: What to call, once the row is changed or gone.

        Returns:
            What ends it.
        """
        self._on_leave[index].append(call)
        return partial(self._on_leave[index].remove, call)

    def add(self, row: RowT) -> None:
        """Insert a row whose key is free."""
        key = self._key(row)
        self._rows[key] = row
        for index, group_of in self._group_of.items():
            group = group_of(row)
            if group is not None:
                self._groups[index].setdefault(group, {})[key] = row

    def remove(self, row: RowT) -> None:
        """Delete a row."""
        key = self._key(row)
        with self.lock:
            del self._rows[key]
        for index, group_of in self._group_of.items():
            self._leave(index, group_of(row), key)

    def change(self, row: RowT, **columns: Any) -> None:
        """Set columns of a row, none of them its key's, and keep the indexes true."""
        key = self._key(row)
        before = {index: group_of(row) for index, group_of in self._group_of.items()}
        with self.lock:
            for name, value in columns.items():
                setattr(row, name, value)
        for index, group_of in self._group_of.items():
            group = group_of(row)
            if group != before[index]:
                self._leave(index, before[index], key)
                if group is not None:
                    self._groups[index].setdefault(group, {})[key] = row

    def _leave(self, index: str, group: Hashable | None, key: Hashable) -> None:
        if group is not None:
            members = self._groups[index][group]
            del members[key]
            if not members:
                del self._groups[index][group]
            for call in self._on_leave[index]:
                call(group)
