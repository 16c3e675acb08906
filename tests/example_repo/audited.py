"""A storage of somebody else's: items on harness's memory engines, every write on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.resources.items import Items


@dataclass(frozen=True, slots=True)
class Entry:
    """Who wrote what."""

    owner: str
    action: str
    namespace: tuple[str, ...]
    key: str


class AuditedItems(Items):
    """Items that note every put and every deletion."""

    def __init__(self, backend: MemoryBackend) -> None:
        super().__init__(backend.items)
        self.journal: list[Entry] = []

    async def put_item(
        self,
        namespace: Sequence[str],
        /,
        key: str,
        value: Mapping[str, Any],
        *,
        ttl: float | None = None,
        owner: str,
    ) -> None:
        """Put an item and note it once it is stored."""
        await super().put_item(namespace, key, value, ttl=ttl, owner=owner)
        self.journal.append(Entry(owner, "put", tuple(namespace), key))

    async def delete_item(self, namespace: Sequence[str], /, key: str, *, owner: str) -> None:
        """Delete an item and note it once it is gone."""
        await super().delete_item(namespace, key, owner=owner)
        self.journal.append(Entry(owner, "delete", tuple(namespace), key))


class AuditedStorage(LocalStorage):
    """Harness's storage with audited items."""

    items: AuditedItems

    def __init__(self, backend: MemoryBackend) -> None:
        super().__init__(backend)
        self.items = AuditedItems(backend)
