"""Namespaces: tuples of labels that come back as put, never meet, and can be listed."""

from typing import TYPE_CHECKING, Any

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    all_raise,
    an_item,
    everything,
    put_all,
)
from harness.errors import InvalidInput
from harness.storage.extensions import FullStorage

if TYPE_CHECKING:
    from harness.models import Json

Namespaces = list[tuple[str, ...]]

ODD_LABELS = (
    "%",
    "_",
    "a%b",
    "a_b",
    "*",
    "a b",
    " ",
    "a,b",
    '"',
    "'",
    "\\",
    "{a}",
    "NULL",
    "null",
    "é",
    "e\u0301",
    "𝄞",
    "a/b",
    "a\nb",
    "\x01",
    "%s",
    "%(x)s",
    ":x",
    "$1",
)


class NamespaceContract(StorageContract):
    """What namespaces promise: labels are letters, each of which counts."""

    @pytest.mark.invariant(15)
    @pytest.mark.parametrize("label", ODD_LABELS, ids=ascii)
    async def test_odd_labels_come_back(self, storage: FullStorage, label: str) -> None:
        """Any label and key without a dot comes back exactly, by every way of reading."""
        namespace = ("root", label, "x")
        item = await an_item(storage, label, namespace=namespace)
        assert (item.namespace, item.key) == (namespace, label)
        assert await storage.items.search_items(("root", label), owner=ALICE) == [item]
        assert await storage.items.search_items(namespace, owner=ALICE) == [item]
        assert await storage.items.list_namespaces(owner=ALICE) == [namespace]
        await storage.items.delete_item(namespace, label, owner=ALICE)
        assert await storage.items.get_item(namespace, label, owner=ALICE) is None

    @pytest.mark.invariant(15)
    async def test_namespaces_never_meet(self, storage: FullStorage) -> None:
        """Namespaces that look alike when joined are apart."""
        alike: Namespaces = [
            ("a", "b"),
            ("ab",),
            ("a,b",),
            ("a", "b", "c"),
            ("a", "bc"),
            ("a/b",),
            ("{a,b}",),
            ("A", "b"),
            ("a", "b "),
        ]
        for number, namespace in enumerate(alike):
            await an_item(storage, "k", namespace=namespace, value={"n": number})
        for number, namespace in enumerate(alike):
            item = await storage.items.get_item(namespace, "k", owner=ALICE)
            assert item is not None
            assert item.value == {"n": number}
        assert set(await storage.items.list_namespaces(owner=ALICE)) == set(alike)
        found = await storage.items.search_items(("a", "b"), owner=ALICE)
        assert [item.namespace for item in found] == [("a", "b", "c"), ("a", "b")]

    @pytest.mark.invariant(15)
    async def test_address_and_key_never_meet(self, storage: FullStorage) -> None:
        """The last label and the key are two things."""
        await an_item(storage, "c", namespace=("a", "b"))
        assert await storage.items.get_item(("a",), "b", owner=ALICE) is None
        assert await storage.items.get_item(("a",), "bc", owner=ALICE) is None
        assert await storage.items.get_item(("a", "b", "c"), "c", owner=ALICE) is None

    @pytest.mark.invariant(15)
    @pytest.mark.parametrize("wild", ["%", "_", "*", "a%", "a_"])
    async def test_prefixes_are_literal(self, storage: FullStorage, wild: str) -> None:
        """In a search prefix `%`, `_` and `*` are letters, and a part of a label is none."""
        await an_item(storage, "k", namespace=("ab", "c"))
        assert await storage.items.search_items((wild,), owner=ALICE) == []
        assert await storage.items.search_items(("a",), owner=ALICE) == []
        item = await an_item(storage, "k", namespace=(wild, "c"))
        assert await storage.items.search_items((wild,), owner=ALICE) == [item]

    @pytest.mark.invariant(15)
    @pytest.mark.parametrize(
        "namespace",
        [
            (),
            ("",),
            ("a", ""),
            ("a.b",),
            ("a", "."),
            ("langgraph",),
            ("langgraph", "a"),
            ("a\x00",),
            ("\ud800",),
            ("a", 1),
            ("a", None),
            (b"a",),
            "text",
            None,
            7,
            ("a",) * 33,
        ],
        ids=ascii,
    )
    async def test_refused_namespaces(
        self, storage: FullStorage, probe: Probe, namespace: Any
    ) -> None:
        """Bad namespaces are refused by put, get and delete alike, and nothing is written."""
        await all_raise(
            InvalidInput,
            storage.items.put_item(namespace, "k", {}, owner=ALICE),
            storage.items.get_item(namespace, "k", owner=ALICE),
            storage.items.delete_item(namespace, "k", owner=ALICE),
        )
        assert await probe.count("store_items") == 0

    @pytest.mark.invariant(17)
    @pytest.mark.parametrize("key", ["", "a\x00b", "\udfff", None, 1, b"k", "k" * 2_001], ids=ascii)
    async def test_refused_keys(self, storage: FullStorage, probe: Probe, key: Any) -> None:
        """Bad keys are refused by put, get and delete alike, and nothing is written."""
        await all_raise(
            InvalidInput,
            storage.items.put_item(("a",), key, {}, owner=ALICE),
            storage.items.get_item(("a",), key, owner=ALICE),
            storage.items.delete_item(("a",), key, owner=ALICE),
        )
        assert await probe.count("store_items") == 0

    @pytest.mark.invariant(15)
    async def test_langgraph_is_reserved_at_the_root_only(self, storage: FullStorage) -> None:
        """The label is good below the root, and in another case."""
        await an_item(storage, namespace=("a", "langgraph"))
        await an_item(storage, namespace=("LangGraph",))
        assert len(await storage.items.list_namespaces(owner=ALICE)) == 2

    @pytest.mark.invariant(15)
    async def test_a_key_may_have_dots(self, storage: FullStorage) -> None:
        """Only labels have no dots."""
        item = await an_item(storage, "notes.2026.txt")
        assert item.key == "notes.2026.txt"

    @pytest.mark.invariant(44)
    async def test_addresses_of_2000_bytes(self, storage: FullStorage, probe: Probe) -> None:
        """Namespace and key hold 2,000 bytes of UTF-8 together, and not one more."""
        for namespace, key in (
            (("n" * 1_000,), "k" * 1_000),
            (("é" * 250, "n" * 500), "𝄞" * 250),
            (tuple("n" for _ in range(32)), "k" * 1_968),
        ):
            item = await an_item(storage, key, namespace=namespace)
            assert (item.namespace, item.key) == (namespace, key)
            assert await storage.items.search_items(namespace, owner=ALICE) == [item]
            before = await everything(probe)
            with pytest.raises(InvalidInput):
                await storage.items.put_item(namespace, key + "k", {}, owner=ALICE)
            assert await everything(probe) == before


class ListNamespacesContract(StorageContract):
    """What listing namespaces promises: conditions on labels, depth, order and pages."""

    NAMESPACES: Namespaces = [  # noqa: RUF012 -- never changed
        ("docs", "ada", "drafts"),
        ("docs", "bob", "drafts"),
        ("docs", "bob", "final"),
        ("docs",),
        ("mail", "ada"),
        ("mail", "ada", "drafts", "old"),
    ]

    async def _listed(self, storage: FullStorage, **asked: Any) -> Namespaces:
        rows: list[Json] = [
            {"namespace": namespace, "key": key, "value": {}}
            for namespace in self.NAMESPACES
            for key in ("one", "two")
        ]
        await put_all(storage, rows)
        return await storage.items.list_namespaces(**asked, owner=ALICE)

    @pytest.mark.parametrize(
        ("asked", "listed"),
        [
            ({}, [0, 1, 2, 3, 4, 5]),
            ({"prefix": ()}, [0, 1, 2, 3, 4, 5]),
            ({"prefix": ("docs",)}, [0, 1, 2, 3]),
            ({"prefix": ("doc",)}, []),
            ({"prefix": ("docs", "bob")}, [1, 2]),
            ({"prefix": ("docs", "*")}, [0, 1, 2]),
            ({"prefix": ("*", "ada")}, [0, 4, 5]),
            ({"prefix": ("*", "*", "*", "*")}, [5]),
            ({"prefix": ("%",)}, []),
            ({"prefix": ("do__",)}, []),
            ({"suffix": ("drafts",)}, [0, 1]),
            ({"suffix": ("*", "drafts")}, [0, 1]),
            ({"suffix": ("drafts", "*")}, [5]),
            ({"suffix": ("docs",)}, [3]),
            ({"suffix": ("bob", "*")}, [1, 2]),
            ({"prefix": ("docs",), "suffix": ("final",)}, [2]),
            ({"prefix": ("docs",), "suffix": ("docs",)}, [3]),
            ({"prefix": ("docs", "bob"), "suffix": ("bob", "final")}, [2]),
        ],
        ids=repr,
    )
    @pytest.mark.invariant(15)
    async def test_conditions(
        self, storage: FullStorage, asked: dict[str, Any], listed: list[int]
    ) -> None:
        """Prefix and suffix match whole labels; `*` is any one label, `%` and `_` are letters."""
        found = await self._listed(storage, **asked)
        assert found == sorted(self.NAMESPACES[index] for index in listed)

    async def test_max_depth(self, storage: FullStorage) -> None:
        """Deeper namespaces are cut, and each cut one is listed once."""
        assert await self._listed(storage, max_depth=1) == [("docs",), ("mail",)]
        assert await self._listed(storage, max_depth=2) == [
            ("docs",),
            ("docs", "ada"),
            ("docs", "bob"),
            ("mail", "ada"),
        ]
        assert await self._listed(storage, max_depth=9) == sorted(self.NAMESPACES)
        assert await self._listed(storage, suffix=("drafts",), max_depth=1) == [("docs",)]

    async def test_pages(self, storage: FullStorage) -> None:
        """Limit and offset cut the ordered list, after the depth."""
        wanted = sorted(self.NAMESPACES)
        assert await self._listed(storage, limit=2) == wanted[:2]
        assert await self._listed(storage, limit=2, offset=3) == wanted[3:5]
        assert await self._listed(storage, limit=0) == []
        assert await self._listed(storage, offset=99) == []
        assert await self._listed(storage, max_depth=1, limit=1, offset=1) == [("mail",)]

    @pytest.mark.parametrize(
        "asked",
        [
            {"max_depth": 0},
            {"max_depth": "1"},
            {"limit": -1},
            {"offset": -1},
            {"prefix": "text"},
            {"prefix": ("",)},
            {"suffix": ("a.b",)},
        ],
        ids=repr,
    )
    async def test_bad_arguments(self, storage: FullStorage, asked: dict[str, Any]) -> None:
        """What cannot be a condition is refused."""
        with pytest.raises(InvalidInput):
            await storage.items.list_namespaces(**asked, owner=ALICE)
