"""Random histories of items."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.contract.stateful.core import TwoSides
from harness.contract.stateful.strategies import JSON, OBJECTS, OWNERS, optional, pages

_LABELS = st.sampled_from(["a", "b", "ab", "%", "_", "\u00e9", "*"])
_BAD_LABELS = st.sampled_from(["", "a.b", "langgraph", "\x00"])
_NAMESPACES = st.one_of(
    st.lists(_LABELS, min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2),
    st.lists(_LABELS | _BAD_LABELS, max_size=2),
)
_PREFIXES = st.lists(_LABELS, max_size=2)
_KEYS = st.sampled_from(["k", "k", "K", "%", "\u00e9", "0"])
_TTL = st.sampled_from([None, None, 10, 10.5, 0, -1])
_ORDERED = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
_CONDITIONS = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(["$eq", "$ne"]), JSON, min_size=1, max_size=2),
    st.dictionaries(
        _ORDERED,
        st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=2), JSON),
        min_size=1,
        max_size=2,
    ),
)
_FILTERS = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["a", "b", "0", "$eq"]), _CONDITIONS, max_size=2)
)
_DEPTHS = st.none() | st.integers(1, 3)
_AGE = timedelta(minutes=6)
_AGES = st.sampled_from([_AGE, timedelta(minutes=20)])


class ItemRules(TwoSides):
    """Items, put, read, searched, listed, expired and removed."""

    @rule(namespace=_NAMESPACES, key=_KEYS, value=OBJECTS, ttl=_TTL, owner=OWNERS)
    def put_item(self, namespace: list[str], **arguments: Any) -> None:
        """Put one."""
        self.same("items.put_item", namespace, **arguments)

    @rule(
        addresses=st.lists(st.tuples(_NAMESPACES, _KEYS), max_size=3), value=OBJECTS, owner=OWNERS
    )
    def put_items(
        self, addresses: list[tuple[list[str], str]], value: dict[str, Any], owner: str
    ) -> None:
        """Put some or none."""
        rows = [{"namespace": space, "key": key, "value": value} for space, key in addresses]
        self.same("items.put_many", rows, owner=owner)

    @rule(namespace=_NAMESPACES, key=_KEYS, refresh_ttl=st.booleans(), owner=OWNERS)
    def get_item(self, namespace: list[str], **arguments: Any) -> None:
        """Read one."""
        self.same("items.get_item", namespace, **arguments)

    @rule(namespace=_NAMESPACES, key=_KEYS, refresh_ttl=st.booleans(), owner=OWNERS)
    def outlive(self, namespace: list[str], key: str, owner: str, refresh_ttl: bool) -> None:
        """Read one that lives ten minutes when it is six, and again when it is twelve."""
        self.same("items.put_item", namespace, key=key, value={}, ttl=10, owner=owner)
        for _ in range(2):
            self.behind("age", "store_items", _AGE, key=key)
            self.same("items.get_item", namespace, key=key, refresh_ttl=refresh_ttl, owner=owner)

    @rule(namespace=_NAMESPACES, key=_KEYS, owner=OWNERS)
    def delete_item(self, namespace: list[str], **arguments: Any) -> None:
        """Remove one."""
        self.same("items.delete_item", namespace, **arguments)

    @rule(
        prefix=_PREFIXES,
        conditions=_FILTERS,
        page=pages("key", "created_at", "updated_at"),
        refresh_ttl=st.booleans(),
        owner=OWNERS,
    )
    def search_items(
        self,
        prefix: list[str],
        conditions: Any,
        page: dict[str, Any],
        refresh_ttl: bool,
        owner: str,
    ) -> None:
        """Find and count."""
        self.same(
            "items.search_items",
            prefix,
            filter=conditions,
            **page,
            refresh_ttl=refresh_ttl,
            owner=owner,
        )
        self.same("items.count_items", prefix, filter=conditions, owner=owner)

    @rule(
        arguments=optional(
            prefix=_PREFIXES,
            suffix=_PREFIXES,
            max_depth=_DEPTHS,
            limit=st.integers(0, 4),
            offset=st.integers(0, 2),
        ),
        owner=OWNERS,
    )
    def list_namespaces(self, arguments: dict[str, Any], owner: str) -> None:
        """List namespaces."""
        self.same("items.list_namespaces", **arguments, owner=owner)

    @rule(owner=st.none() | OWNERS)
    def sweep(self, owner: str | None) -> None:
        """Remove what has expired."""
        self.same("items.sweep", owner=owner)

    @rule(key=_KEYS, by=_AGES)
    def let_items_age(self, key: str, by: timedelta) -> None:
        """Let time to live run out, or nearly."""
        self.behind("age", "store_items", by, key=key)
