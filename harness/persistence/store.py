"""LangGraph's `BaseStore` over `storage.items`: what an agent puts is what `items` shows."""

from collections.abc import Iterable, Sequence

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from harness import models
from harness.config import ItemTtlConfig
from harness.errors import AsyncOnly, Forbidden, HarnessError, InvalidInput
from harness.persistence.owner import current_owner
from harness.storage.checks import check_labels
from harness.storage.interface import ItemStore, Storage

_ANY_LABEL = "*"


class AgentStore(BaseStore):
    """The long-term memory of agents, each owner's own, in any storage.

    - The owner is that of the `owner_scope` around the call. Owner `system`'s items can be read by
      all.
    - `ttl` is minutes, fractions allowed; an expired item is as good as gone. Reading starts the
      time to live anew unless `refresh_ttl=False`.
    - Filters are those of `harness.storage.filters`. A search returns what was changed last first.
    - There is no index: `query` and `index` are accepted and change nothing, `score` is None.
    - Each call is a batch of its own, so callers neither wait for nor fail with one another.

    Only the asynchronous methods work. Bad arguments raise `InvalidInput` or LangGraph's own
    `InvalidNamespaceError`; both are a `ValueError`.

    Args:
        storage: Where the items are.
        ttl: How long items live for which nothing is said, and whether reading them begins that
            anew; by default they live for ever.
    """

    supports_ttl = True

    def __init__(self, storage: Storage, ttl: ItemTtlConfig | None = None) -> None:
        self._items: ItemStore = storage.items
        if ttl is not None:  # BaseStore's own methods look it up
            self.ttl_config = TTLConfig(
                refresh_on_read=ttl.refresh_on_read, default_ttl=ttl.default_ttl
            )

    def batch(self, ops: Iterable[Op]) -> list[Result]:  # noqa: ARG002 -- BaseStore's signature
        """Refuse.

        Raises:
            AsyncOnly: Always.
        """
        raise AsyncOnly(
            "this store is asynchronous: await aget, aput, asearch, adelete, alist_namespaces or "
            "abatch, in nodes that are coroutines"
        )

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations one after the other; each sees what those before it did.

        An operation that is refused (`InvalidInput`, `Forbidden`) fails alone: the others are
        carried out, and then its error is raised; of several the first, which notes the rest. Any
        other error is not of one operation, but of the storage: it ends the batch at once.

        Raises:
            NoOwner: There is no `owner_scope` around the call; nothing was done.
            HarnessError: As above, and as `harness.storage.interface` says.
        """
        owner = current_owner()
        results: list[Result] = []
        errors: list[HarnessError] = []
        for op in ops:
            try:
                results.append(await self._carry_out(op, owner))
            except (InvalidInput, Forbidden) as exc:
                errors.append(exc)
            except HarnessError as exc:
                errors.insert(0, exc)
                break
        if errors:
            first, *others = errors
            for other in others:
                first.add_note(f"of the same batch: {type(other).__name__}: {other}")
            raise first
        return results

    async def _carry_out(self, op: Op, owner: str) -> Result:
        if isinstance(op, GetOp):
            return await self._get(op, owner)
        if isinstance(op, PutOp):
            await self._put(op, owner)
            return None
        if isinstance(op, SearchOp):
            return await self._search(op, owner)
        if isinstance(op, ListNamespacesOp):
            return await self._list_namespaces(op, owner)
        raise InvalidInput(f"{type(op).__name__} is not an operation of a store")

    async def _get(self, op: GetOp, owner: str) -> Item | None:
        found = await self._items.get_item(
            op.namespace, op.key, refresh_ttl=op.refresh_ttl, owner=owner
        )
        return None if found is None else _item(found)

    async def _put(self, op: PutOp, owner: str) -> None:
        if op.value is None:
            await self._items.delete_item(op.namespace, op.key, owner=owner)
        else:
            await self._items.put_item(op.namespace, op.key, op.value, ttl=op.ttl, owner=owner)

    async def _search(self, op: SearchOp, owner: str) -> list[SearchItem]:
        found = await self._items.search_items(
            op.namespace_prefix,
            filter=op.filter,
            limit=op.limit,
            offset=op.offset,
            refresh_ttl=op.refresh_ttl,
            sort_by="updated_at",
            owner=owner,
        )
        return [_search_item(item) for item in found]

    async def _list_namespaces(self, op: ListNamespacesOp, owner: str) -> list[tuple[str, ...]]:
        prefixes, suffixes = _paths(op.match_conditions or ())
        prefix = _joined(prefixes)
        suffix = _joined([path[::-1] for path in suffixes])
        if prefix is None or suffix is None:
            return []
        return await self._items.list_namespaces(
            prefix, suffix[::-1], op.max_depth, op.limit, op.offset, owner=owner
        )


def _paths(
    conditions: Sequence[MatchCondition],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return the paths of the prefix conditions and of the suffix conditions."""
    paths: dict[str, list[tuple[str, ...]]] = {"prefix": [], "suffix": []}
    for condition in conditions:
        if condition.match_type not in paths:
            raise InvalidInput(
                f"match_type must be prefix or suffix, not {condition.match_type!r:.80}"
            )
        paths[condition.match_type].append(check_labels(condition.path, condition.match_type))
    return paths["prefix"], paths["suffix"]


def _joined(paths: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the one path that asks for as much as all of them, None if nothing meets them all."""
    joined: list[str] = []
    for path in paths:
        joined += [_ANY_LABEL] * (len(path) - len(joined))
        for depth, label in enumerate(path):
            if joined[depth] == _ANY_LABEL:
                joined[depth] = label
            elif label not in (_ANY_LABEL, joined[depth]):
                return None
    return tuple(joined)


def _item(item: models.Item) -> Item:
    return Item(
        namespace=item.namespace,
        key=item.key,
        value=item.value,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


def _search_item(item: models.Item) -> SearchItem:
    return SearchItem(
        namespace=item.namespace,
        key=item.key,
        value=item.value,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )
