"""Items, in Postgres."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, get_args

from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import Forbidden
from harness.models import SYSTEM, Item
from harness.storage.checks import MAX_LABELS
from harness.storage.interface import ItemSortBy
from harness.storage.postgres.codec import dumps
from harness.storage.postgres.conditions import filter_sql
from harness.storage.postgres.records import Values, item, rows_of
from harness.storage.postgres.searching import Searching, order_of, page_parameters
from harness.storage.postgres.sql import load
from harness.storage.requests import ItemQuery, NamespaceQuery, NewItem, Page

SQL: Final = load("items")
SEARCHING: Final = Searching(SQL, get_args(ItemSortBy), ["namespace", "key"])
NAMESPACES: Final = {
    names: SQL.render("namespaces", conditions=SEARCHING.where(names))
    for names in [(), ("where_prefix",)]
}
"""The statements that list namespaces: all, or those that begin with labels."""
_AFTER_LABEL: Final = "\x01"
_ANY_LABEL: Final = "*"


class PostgresItems:
    """Carries out requests on items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        """Put all of them."""
        if len(rows) == 1:
            await self._database.write(SQL["put"], {**_row(rows[0], dumps), "owner": owner})
            return
        # In the order of addresses, so that two bulks that meet do not wait for each other.
        ordered = sorted(rows, key=lambda new: (new.namespace, new.key))
        await self._database.write(
            SQL["put_many"], {"rows": dumps([_row(new) for new in ordered]), "owner": owner}
        )

    async def get(
        self, namespace: tuple[str, ...], key: str, *, refresh_ttl: bool, owner: str
    ) -> Item | None:
        """Return the caller's item, else owner `system`'s."""
        rows = await self._database.read(
            SQL["get"],
            {"namespace": list(namespace), "key": key, "owner": owner},
            row_factory=rows_of(_with_ttl),
        )
        if refresh_ttl:
            await self._refresh(rows, owner)
        return rows[0][0] if rows else None

    async def delete(self, namespace: tuple[str, ...], key: str, *, owner: str) -> None:
        """Remove the caller's item."""
        [only_systems] = await self._database.write(
            SQL["delete"],
            {"namespace": list(namespace), "key": key, "owner": owner},
            row_factory=scalar_row,
        )
        if only_systems:
            raise Forbidden(f"item {key} of {namespace} belongs to owner {SYSTEM!r}")

    async def search(
        self, query: ItemQuery, page: Page, *, refresh_ttl: bool, owner: str
    ) -> list[Item]:
        """Return a page of the items that match."""
        conditions, parameters = _conditions(query)
        rows = await self._database.read(
            SQL.render("search", conditions=conditions, order=SEARCHING.orders[order_of(page)]),
            {**parameters, **page_parameters(page), "owner": owner},
            row_factory=rows_of(_with_ttl),
        )
        if refresh_ttl:
            await self._refresh(rows, owner)
        return [row for row, _ in rows]

    async def count(self, query: ItemQuery, *, owner: str) -> int:
        """Count the items that match."""
        conditions, parameters = _conditions(query)
        [number] = await self._database.read(
            SQL.render("count", conditions=conditions),
            {**parameters, "owner": owner},
            row_factory=scalar_row,
        )
        return int(number)

    async def list_namespaces(self, query: NamespaceQuery, *, owner: str) -> list[tuple[str, ...]]:
        """Return a page of the namespaces that hold items."""
        names, parameters = _within(_literal(query.prefix))
        parameters |= {
            "owner": owner,
            "begins": list(query.prefix),
            "ends": list(query.suffix),
            "max_depth": min(query.max_depth or MAX_LABELS, MAX_LABELS),
            "limit": query.limit,
            "offset": query.offset,
        }
        rows = await self._database.read(NAMESPACES[names], parameters, row_factory=scalar_row)
        return [tuple(row) for row in rows]

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        """Remove expired items."""
        if owner is None:
            rows = await self._database.write(SQL["sweep"], {"limit": limit})
        else:
            rows = await self._database.write(SQL["sweep_owner"], {"limit": limit, "owner": owner})
        return len(rows)

    async def _refresh(self, rows: Iterable[tuple[Item, bool]], owner: str) -> None:
        """Start the time to live anew of the caller's items that have one."""
        own = [{"namespace": row.namespace, "key": row.key} for row, has_ttl in rows if has_ttl]
        if own:
            await self._database.write(SQL["refresh"], {"rows": dumps(own), "owner": owner})


def _row(new: NewItem, encode: Any = dict) -> dict[str, Any]:
    return {
        "namespace": list(new.namespace),
        "key": new.key,
        "value": encode(new.value),
        "ttl_minutes": new.ttl_minutes,
    }


def _with_ttl(row: Values) -> tuple[Item, bool]:
    """Return an item, and whether it is the caller's and has a time to live."""
    return item(row), row[-1]


def _conditions(query: ItemQuery) -> tuple[str, dict[str, Any]]:
    names, parameters = _within(query.prefix)
    conditions, more = filter_sql(SQL, query.conditions)
    return f"{SEARCHING.where(names)} {conditions}", parameters | more


def _within(prefix: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the condition, if there is one, that namespaces begin with labels."""
    if not prefix:
        return (), {}
    end = [*prefix[:-1], prefix[-1] + _AFTER_LABEL]
    return ("where_prefix",), {"prefix": list(prefix), "prefix_end": end}


def _literal(prefix: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels before the first that stands for any."""
    return prefix[: prefix.index(_ANY_LABEL)] if _ANY_LABEL in prefix else prefix
