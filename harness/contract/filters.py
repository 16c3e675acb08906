"""Filters of item search: each operator, types, and what is not there."""

from typing import Any, ClassVar

import pytest

from harness.contract.base import StorageContract
from harness.contract.builders import (
    ALICE,
    HOME,
    case_id,
    put_all,
)
from harness.errors import InvalidInput
from harness.models import Json
from harness.storage.extensions import FullStorage, ItemKeeper

VALUES: dict[str, Json] = {
    "int": {"x": 10},
    "float": {"x": 9.5},
    "whole": {"x": 10.0},
    "text": {"x": "10"},
    "word": {"x": "b"},
    "true": {"x": True},
    "null": {"x": None},
    "missing": {"y": 1},
    "list": {"x": [1, 2]},
    "object": {"x": {"y": 1, "z": 2}},
    "empty": {"x": {}},
}
ALL_KEYS = frozenset(VALUES)


class ItemFilterContract(StorageContract):
    """What filters promise: JSON values compared as JSON, and one rule for absence."""

    needs: ClassVar[frozenset[type]] = frozenset({ItemKeeper})

    async def _found(self, storage: FullStorage, condition: Json) -> set[str]:
        rows = [{"namespace": HOME, "key": key, "value": value} for key, value in VALUES.items()]
        await put_all(storage, rows)
        found = await storage.items.search_items(HOME, filter=condition, limit=100, owner=ALICE)
        counted = await storage.items.count_items(HOME, filter=condition, owner=ALICE)
        assert counted == len(found)
        return {item.key for item in found}

    @pytest.mark.invariant(23)
    @pytest.mark.parametrize(
        ("operand", "equal"),
        [
            (10, {"int", "whole"}),
            (10.0, {"int", "whole"}),
            (9.5, {"float"}),
            ("10", {"text"}),
            (True, {"true"}),
            (1, set()),
            (None, {"null", "missing"}),
            ([1, 2], {"list"}),
            ([1.0, 2], {"list"}),
            ([2, 1], set()),
            ([1], set()),
            ("nothing", set()),
        ],
        ids=case_id,
    )
    async def test_equality(self, storage: FullStorage, operand: Any, equal: set[str]) -> None:
        """`$eq` and a bare value find what is equal, `$ne` everything else."""
        assert await self._found(storage, {"x": operand}) == equal
        assert await self._found(storage, {"x": {"$eq": operand}}) == equal
        assert await self._found(storage, {"x": {"$ne": operand}}) == ALL_KEYS - equal

    @pytest.mark.invariant(58)
    async def test_conditions_are_bounded(self, storage: FullStorage) -> None:
        """A thousand conditions are answered; more are refused, however they are nested."""
        await storage.items.put_item(HOME, "wide", {f"k{n}": n for n in range(600)}, owner=ALICE)
        fine: Json = {f"k{n}": {"$gte": n, "$lte": n} for n in range(500)}
        assert await storage.items.count_items(HOME, filter=fine, owner=ALICE) == 1
        nested: Json = {"a": {**fine, "b": 1}}
        for wide in ({**fine, "k501": 501}, nested, {f"k{n}": n for n in range(33_000)}):
            with pytest.raises(InvalidInput):
                await storage.items.search_items(HOME, filter=wide, owner=ALICE)
            with pytest.raises(InvalidInput):
                await storage.items.count_items(HOME, filter=wide, owner=ALICE)

    @pytest.mark.invariant(23)
    @pytest.mark.parametrize(
        ("condition", "keys"),
        [
            ({"$gt": 9}, {"int", "whole", "float"}),
            ({"$gt": 9.5}, {"int", "whole"}),
            ({"$gte": 9.5}, {"int", "whole", "float"}),
            ({"$lt": 10}, {"float"}),
            ({"$lte": 10}, {"int", "whole", "float"}),
            ({"$gt": 9, "$lt": 10}, {"float"}),
            ({"$gt": 100}, set()),
            ({"$gt": "1"}, {"text", "word"}),
            ({"$gte": "b"}, {"word"}),
            ({"$lt": "9"}, {"text"}),
            ({"$lte": "B"}, {"text"}),
            ({"$gt": -5, "$ne": 10}, {"float"}),
        ],
        ids=case_id,
    )
    async def test_order(self, storage: FullStorage, condition: Json, keys: set[str]) -> None:
        """Numbers compare with numbers, strings with strings, and nothing else matches."""
        assert await self._found(storage, {"x": condition}) == keys

    @pytest.mark.invariant(23)
    @pytest.mark.parametrize(
        ("condition", "keys"),
        [
            ({"x": {"y": 1}}, {"object"}),
            ({"x": {"y": 1, "z": 2}}, {"object"}),
            ({"x": {"y": {"$gt": 0}}}, {"object"}),
            ({"x": {"$eq": {"y": 1}}}, set()),
            ({"x": {"$eq": {"z": 2.0, "y": 1}}}, {"object"}),
            ({"x": {}}, {"empty"}),
            ({"x": {"y": None}}, ALL_KEYS - {"object"}),
            ({"x": {"y": {"$ne": 1}}}, ALL_KEYS - {"object"}),
            ({"x": {"0": 1}}, set()),
            ({"x": 10, "y": 1}, set()),
            ({"x": None, "y": 1}, {"missing"}),
            ({}, ALL_KEYS),
        ],
        ids=case_id,
    )
    async def test_nesting(
        self, storage: FullStorage, condition: Json, keys: frozenset[str]
    ) -> None:
        """A plain object goes one level deeper; conditions hold all at once."""
        assert await self._found(storage, condition) == keys

    @pytest.mark.invariant(23)
    async def test_numbers_are_compared_exactly(self, storage: FullStorage) -> None:
        """Large integers are not rounded into one another."""
        big = 2**53
        rows = [
            {"namespace": HOME, "key": str(n), "value": {"n": n}} for n in (big, big + 1, 9, 10)
        ]
        await put_all(storage, rows)

        async def keys(condition: Json) -> set[str]:
            found = await storage.items.search_items(HOME, filter=condition, owner=ALICE)
            return {item.key for item in found}

        assert await keys({"n": big + 1}) == {str(big + 1)}
        assert await keys({"n": {"$gt": big}}) == {str(big + 1)}
        assert await keys({"n": {"$lt": 10}}) == {"9"}

    @pytest.mark.invariant(43)
    async def test_strings_compare_by_code_point(self, storage: FullStorage) -> None:
        """`B` is before `a`, and `a` before `ä`, whatever the server's locale."""
        rows = [
            {"namespace": HOME, "key": word, "value": {"w": word}}
            for word in ("a", "B", "ä", "b", "𝄞", "\uffff")
        ]
        await put_all(storage, rows)

        async def keys(condition: Json) -> set[str]:
            found = await storage.items.search_items(HOME, filter=condition, owner=ALICE)
            return {item.key for item in found}

        assert await keys({"w": {"$lt": "a"}}) == {"B"}
        assert await keys({"w": {"$gt": "b"}}) == {"ä", "𝄞", "\uffff"}
        assert await keys({"w": {"$gt": "\uffff"}}) == {"𝄞"}

    @pytest.mark.invariant(15)
    async def test_keys_with_odd_characters(self, storage: FullStorage) -> None:
        """Dots, percent signs, quotes and dollars in a key are letters of it."""
        for key in (
            "",
            "0",
            "-1",
            "null",
            "a.b",
            "100%",
            "it's",
            'say "x"',
            "a$b",
            "{x}",
            "a,b",
            "%s",
            "\\",
            "é",
        ):
            await storage.items.put_item(HOME, "k", {key: 1}, owner=ALICE)
            found = await storage.items.search_items(HOME, filter={key: 1}, owner=ALICE)
            assert len(found) == 1, key
            missed = await storage.items.search_items(HOME, filter={key: 2}, owner=ALICE)
            assert missed == [], key

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize(
        "condition",
        [
            {"x": {"$in": [1]}},
            {"x": {"$gt": None}},
            {"x": {"$gt": True}},
            {"x": {"$lt": [1]}},
            {"x": {"$lte": {"y": 1}}},
            {"x": {"$gt": 1, "y": 2}},
            {"$gt": 1},
            {"x": {"y": {"$like": "a"}}},
            {"x": float("nan")},
            [1],
            "x",
        ],
        ids=repr,
    )
    async def test_bad_filters(self, storage: FullStorage, condition: Any) -> None:
        """Unknown operators and operands that have no order are refused, also of no items."""
        with pytest.raises(InvalidInput):
            await storage.items.search_items(HOME, filter=condition, owner=ALICE)
        with pytest.raises(InvalidInput):
            await storage.items.count_items(HOME, filter=condition, owner=ALICE)
