"""What any LangGraph store should promise, as questions to put to each."""

from typing import Any

import pytest
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from harness.contract.builders import settle
from harness.contract.store_base import HOME, Age, StoreSubject, found, get, put, refused

HALF_A_MINUTE = 0.5


@pytest.mark.invariant(47)
class LangGraphStoreContract(StoreSubject):
    """A store's promises, as tests, each of which is a question that it should answer with yes."""

    @pytest.mark.ours
    async def test_numbers_compare_as_numbers(self, store: BaseStore) -> None:
        """Is 10 more than 9?"""
        await put(store, ten={"n": 10}, nine={"n": 9})
        assert await found(store, {"n": {"$gt": 9}}) == {"ten"}
        assert await found(store, {"n": {"$lte": 9.5}}) == {"nine"}

    @pytest.mark.ours
    async def test_an_order_passes_over_missing_keys(self, store: BaseStore) -> None:
        """Does `$gt` pass over items that lack the key?"""
        await put(store, two={"n": 2}, missing={"m": 2})
        assert await found(store, {"n": {"$gt": 1}}) == {"two"}

    @pytest.mark.ours
    async def test_strings_have_an_order(self, store: BaseStore) -> None:
        """Do `$gt` and `$lt` compare words?"""
        await put(store, ada={"name": "ada"}, bob={"name": "bob"})
        assert await found(store, {"name": {"$gt": "ada"}}) == {"bob"}
        assert await found(store, {"name": {"$lte": "ada"}}) == {"ada"}

    @pytest.mark.ours
    async def test_numbers_and_strings_have_no_order(self, store: BaseStore) -> None:
        """Is the text "9" neither more nor less than the number 5?"""
        await put(store, nine={"n": "9"})
        assert await found(store, {"n": {"$gt": 5}}) == set()

    @pytest.mark.ours
    async def test_ne_finds_items_without_the_key(self, store: BaseStore) -> None:
        """Does `$ne` find an item that lacks the key?"""
        await put(store, one={"n": 1}, two={"n": 2}, missing={})
        assert await found(store, {"n": {"$ne": 1}}) == {"two", "missing"}

    @pytest.mark.ours
    async def test_null_finds_items_without_the_key(self, store: BaseStore) -> None:
        """Does a filter for null find an item that lacks the key?"""
        await put(store, null={"n": None}, missing={}, one={"n": 1})
        assert await found(store, {"n": None}) == {"null", "missing"}

    @pytest.mark.ours
    async def test_nested_filters(self, store: BaseStore) -> None:
        """Does a filter reach into an object?"""
        await put(store, ada={"by": {"name": "ada", "age": 36}}, bob={"by": {"name": "bob"}})
        assert await found(store, {"by": {"name": "ada"}}) == {"ada"}

    @pytest.mark.ours
    async def test_nested_operators(self, store: BaseStore) -> None:
        """Does an operator reach into an object?"""
        await put(store, old={"by": {"age": 36}}, young={"by": {"age": 6}})
        assert await found(store, {"by": {"age": {"$gte": 10}}}) == {"old"}

    @pytest.mark.ours
    async def test_true_is_not_one(self, store: BaseStore) -> None:
        """Do `true` and `1` stay apart in a filter?"""
        await put(store, true={"n": True}, one={"n": 1}, float={"n": 1.0})
        assert await found(store, {"n": 1}) == {"one", "float"}
        assert await found(store, {"n": True}) == {"true"}

    @pytest.mark.ours
    async def test_an_empty_object_equals_itself_only(self, store: BaseStore) -> None:
        """Does a filter for `{}` find only `{}`?"""
        await put(store, empty={"x": {}}, full={"x": {"y": 1}})
        assert await found(store, {"x": {}}) == {"empty"}

    async def test_lists_are_equal_as_a_whole(self, store: BaseStore) -> None:
        """Does a filter for a list find that very list?"""
        await put(store, both={"x": [1, 2]}, one={"x": [1]}, swapped={"x": [2, 1]})
        assert await found(store, {"x": [1, 2]}) == {"both"}

    @pytest.mark.ours
    async def test_an_unknown_operator_is_refused(self, store: BaseStore) -> None:
        """Is an unknown operator refused, also where there is nothing to search?"""
        assert await refused(store.asearch(HOME, filter={"n": {"$in": [1]}}))

    @pytest.mark.ours
    async def test_the_last_changed_is_found_first(self, store: BaseStore) -> None:
        """Does a search return what was changed last first?"""
        for key in ("a", "b", "c", "a"):
            await store.aput(HOME, key, {})
        assert [item.key for item in await store.asearch(HOME)] == ["a", "c", "b"]

    async def test_search_pages(self, store: BaseStore) -> None:
        """Do limit and offset show each item once, ten by default?"""
        for number in range(12):
            await store.aput(HOME, f"k{number:02}", {})
        assert len(await store.asearch(HOME)) == 10
        pages = [await store.asearch(HOME, limit=5, offset=offset) for offset in (0, 5, 10)]
        assert [len(page) for page in pages] == [5, 5, 2]
        assert len({item.key for page in pages for item in page}) == 12

    async def test_a_prefix_is_whole_labels(self, store: BaseStore) -> None:
        """Is ("user",) no prefix of ("users",), and () one of everything?"""
        for namespace in (("user",), ("user", "ada"), ("users",)):
            await store.aput(namespace, "k", {})
        within = {item.namespace for item in await store.asearch(("user",))}
        assert within == {("user",), ("user", "ada")}
        assert len(await store.asearch(())) == 3

    async def test_percent_and_underscore_are_letters(self, store: BaseStore) -> None:
        """Do `%` and `_` in a label stand for themselves?"""
        for namespace in (("user_1",), ("userX1", "a"), ("100%",), ("100%", "b"), ("1000", "c")):
            await store.aput(namespace, "k", {})
        assert {item.namespace for item in await store.asearch(("user_1",))} == {("user_1",)}
        within = {item.namespace for item in await store.asearch(("100%",))}
        assert within == {("100%",), ("100%", "b")}
        assert await store.alist_namespaces(prefix=("user_1",)) == [("user_1",)]

    async def test_a_query_without_an_index_is_ignored(self, store: BaseStore) -> None:
        """Does a store without an index ignore `query` and `index`, and give no score?"""
        await store.aput(HOME, "a", {"text": "tea"}, index=["text"])
        await store.aput(HOME, "b", {"text": "coffee"}, index=False)
        hits = await store.asearch(HOME, query="tea")
        assert {(hit.key, hit.score) for hit in hits} == {("a", None), ("b", None)}

    async def test_what_was_put_is_what_is_read(self, store: BaseStore) -> None:
        """Do the types of JSON survive, and the address?"""
        value = {"s": "123", "i": 1, "f": 1.0, "t": True, "n": None, "l": [1, {"é": []}], "": {}}
        await store.aput(("user", "ada"), "k", value)
        item = await get(store, "k", ("user", "ada"))
        assert (item.namespace, item.key, item.value) == (("user", "ada"), "k", value)
        assert [type(item.value[key]) for key in "sift"] == [str, int, float, bool]

    @pytest.mark.ours
    async def test_a_value_is_json(self, store: BaseStore) -> None:
        """Does a tuple come back as the list that JSON makes of it?"""
        await store.aput(HOME, "k", {"x": (1, 2)})
        assert (await get(store, "k")).value == {"x": [1, 2]}

    @pytest.mark.ours
    async def test_an_update_keeps_created_at(self, store: BaseStore) -> None:
        """Does overwriting keep `created_at` and move `updated_at`?"""
        await store.aput(HOME, "k", {"n": 1})
        before = await get(store, "k")
        created_at, updated_at = before.created_at, before.updated_at
        await store.aput(HOME, "k", {"m": 2})
        after = await get(store, "k")
        assert after.value == {"m": 2}
        assert after.updated_at > updated_at
        assert after.created_at == created_at

    @pytest.mark.ours
    async def test_what_goes_in_is_copied(self, store: BaseStore) -> None:
        """Does changing a dict after it was put leave the store alone?"""
        value: dict[str, Any] = {"likes": ["tea"]}
        await store.aput(HOME, "k", value)
        value["likes"].append("coffee")
        assert (await get(store, "k")).value == {"likes": ["tea"]}

    @pytest.mark.ours
    async def test_what_comes_out_is_a_copy(self, store: BaseStore) -> None:
        """Does changing what was read leave the store alone?"""
        await store.aput(HOME, "k", {"likes": "tea"})
        (await get(store, "k")).value["likes"] = "coffee"
        assert (await get(store, "k")).value == {"likes": "tea"}

    async def test_deleting_what_is_not_there(self, store: BaseStore) -> None:
        """Is deleting twice no error?"""
        await store.aput(HOME, "k", {})
        for _ in range(2):
            await store.adelete(HOME, "k")
        assert await store.aget(HOME, "k") is None

    @pytest.mark.parametrize(
        "bad",
        ["a\0b", "\ud800", float("nan"), float("inf")],
        ids=["nul", "surrogate", "nan", "inf"],
    )
    @pytest.mark.ours
    async def test_what_is_not_json_is_refused(self, store: BaseStore, bad: object) -> None:
        """Are NUL, lone surrogates, NaN and infinity refused, and nothing written?"""
        assert await refused(store.aput(HOME, "k", {"x": [bad]}))
        assert await store.asearch(()) == []

    @pytest.mark.ours
    async def test_nul_in_a_key_is_refused(self, store: BaseStore) -> None:
        """Is a key with a NUL refused?"""
        assert await refused(store.aput(HOME, "a\0b", {}))

    @pytest.mark.ours
    async def test_reading_makes_no_namespace(self, store: BaseStore) -> None:
        """Does reading what is not there leave no empty namespace behind?"""
        assert await store.aget(("ghost",), "k") is None
        assert await store.alist_namespaces() == []

    @pytest.mark.ours
    async def test_an_emptied_namespace_is_gone(self, store: BaseStore) -> None:
        """Does a namespace go with its last item?"""
        await store.aput(HOME, "k", {})
        await store.adelete(HOME, "k")
        assert await store.alist_namespaces() == []

    @pytest.mark.ours
    async def test_namespaces_are_sorted_label_by_label(self, store: BaseStore) -> None:
        """Does ("a", "c") stand before ("a-b",), as its first label does?"""
        for namespace in (("a-b",), ("a", "c"), ("a",)):
            await store.aput(namespace, "k", {})
        assert await store.alist_namespaces() == [("a",), ("a", "c"), ("a-b",)]

    async def test_list_namespaces(self, store: BaseStore) -> None:
        """Do prefix, suffix, `*`, depth and page choose namespaces, each listed once?"""
        for namespace in (("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("b", "b", "c")):
            for key in ("1", "2"):
                await store.aput(namespace, key, {})
        names = store.alist_namespaces
        assert await names(prefix=("a", "*", "c")) == [("a", "b", "c"), ("a", "x", "c")]
        assert await names(suffix=("b", "*"), prefix=("a",)) == [("a", "b", "c"), ("a", "b", "d")]
        assert await names(max_depth=2) == [("a", "b"), ("a", "x"), ("b", "b")]
        assert await names(max_depth=2, limit=1, offset=1) == [("a", "x")]
        assert await names(suffix=("d", "c")) == []

    async def test_all_conditions_must_match(self, store: BaseStore) -> None:
        """Do several conditions of one kind all count?"""
        for namespace in (("a", "b"), ("a", "c"), ("b", "b")):
            await store.aput(namespace, "k", {})
        conditions = (
            MatchCondition("prefix", ("a", "*")),
            MatchCondition("prefix", ("*", "b")),
            MatchCondition("suffix", ("b",)),
        )
        assert await store.abatch([ListNamespacesOp(conditions)]) == [[("a", "b")]]
        none = (MatchCondition("prefix", ("a",)), MatchCondition("prefix", ("b",)))
        assert await store.abatch([ListNamespacesOp(none)]) == [[]]

    @pytest.mark.parametrize("label", ["a.b", ""], ids=["dot", "empty"])
    async def test_bad_labels_are_refused(self, store: BaseStore, label: str) -> None:
        """Is an empty label or one with a dot refused?"""
        assert await refused(store.aput((label,), "k", {}))
        assert await refused(store.aget((label,), "k"))

    @pytest.mark.ours
    async def test_bad_labels_are_refused_in_a_batch(self, store: BaseStore) -> None:
        """Is a label with a dot refused in `abatch` as well?"""
        assert await refused(store.abatch([PutOp(("a.b",), "k", {})]))

    @pytest.mark.parametrize("namespace", [(), ("langgraph", "x")], ids=["empty", "reserved"])
    @pytest.mark.ours
    async def test_reserved_namespaces_are_refused_in_a_batch(
        self, store: BaseStore, namespace: tuple[str, ...]
    ) -> None:
        """Are the empty namespace and the root `langgraph` refused in `abatch`, as in `aput`?"""
        assert await refused(store.aput(namespace, "k", {}))
        assert await refused(store.abatch([PutOp(namespace, "k", {})]))

    async def test_a_batch_answers_in_order(self, store: BaseStore) -> None:
        """Does each result stand where its operation stands?"""
        await store.aput(HOME, "a", {"n": 1})
        search, item, put_result, missing = await store.abatch(
            [
                SearchOp(HOME),
                GetOp(HOME, "a"),
                PutOp(HOME, "b", {"n": 2}),
                GetOp(HOME, "z"),
            ]
        )
        assert isinstance(search, list)
        assert isinstance(item, Item)
        assert item.value == {"n": 1}
        assert (put_result, missing) == (None, None)

    @pytest.mark.ours
    async def test_a_batch_reads_its_own_writes(self, store: BaseStore) -> None:
        """Does a get see the put before it in one batch?"""
        _, item = await store.abatch([PutOp(HOME, "k", {"n": 1}), GetOp(HOME, "k")])
        assert isinstance(item, Item)
        assert item.value == {"n": 1}

    async def test_the_last_put_of_a_batch_wins(self, store: BaseStore) -> None:
        """Of two puts of one key in a batch, and a put and a delete, does the later count?"""
        await store.abatch(
            [
                PutOp(HOME, "a", {"n": 1}),
                PutOp(HOME, "a", {"n": 2}),
                PutOp(HOME, "b", {"n": 1}),
                PutOp(HOME, "b", None),
            ]
        )
        assert {item.key: item.value for item in await store.asearch(HOME)} == {"a": {"n": 2}}

    async def test_many_callers_at_once(self, store: BaseStore) -> None:
        """Are fifty puts at once all there?"""
        await settle(store.aput(HOME, f"k{n}", {"n": n}) for n in range(50))
        assert len(await store.asearch(HOME, limit=100)) == 50

    @pytest.mark.ours
    async def test_one_bad_put_among_many_callers(self, store: BaseStore) -> None:
        """Does one caller's bad put leave the other callers' alone?"""
        values = [{"x": "a\0b" if number == 5 else "good"} for number in range(10)]
        await settle(
            (store.aput(HOME, f"k{n}", value) for n, value in enumerate(values)), expect=Exception
        )
        assert {f"k{n}" for n in range(10) if n != 5} <= await found(store, {"x": "good"})

    @pytest.mark.ours
    async def test_one_bad_filter_among_many_callers(self, store: BaseStore) -> None:
        """Does one caller's bad search leave the other callers' puts alone?"""
        await settle(
            [
                store.aput(HOME, "a", {}),
                store.asearch(HOME, filter={"n": {"$in": [1]}}),
                store.aput(HOME, "b", {}),
            ],
            expect=Exception,
        )
        assert await found(store, {}) == {"a", "b"}

    @pytest.mark.ours
    async def test_one_bad_operation_in_a_batch(self, store: BaseStore) -> None:
        """Are the good operations of a batch carried out beside a bad one?"""
        await refused(
            store.abatch(
                [PutOp(HOME, "a", {}), PutOp(HOME, "k", {"x": "\0"}), PutOp(HOME, "b", {})]
            )
        )
        assert {"a", "b"} <= await found(store, {})

    @pytest.mark.ours
    async def test_ttl_below_a_minute(self, store: BaseStore, age: Age) -> None:
        """Is an item of half a minute there after 20 seconds, and gone after 31?"""
        await store.aput(HOME, "k", {}, ttl=HALF_A_MINUTE)
        await age(20)
        assert await store.aget(HOME, "k", refresh_ttl=False) is not None
        assert len(await store.asearch(HOME, refresh_ttl=False)) == 1
        await age(11)
        assert await store.aget(HOME, "k") is None
        assert await store.asearch(HOME) == []
        assert await store.alist_namespaces() == []

    @pytest.mark.parametrize("way", ["get", "search"])
    @pytest.mark.ours
    async def test_reading_renews_the_ttl(self, store: BaseStore, age: Age, way: str) -> None:
        """Does reading start a time to live of half a minute anew, by half a minute?"""
        await store.aput(HOME, "k", {}, ttl=HALF_A_MINUTE)
        await age(20)
        await (store.aget(HOME, "k") if way == "get" else store.asearch(HOME))
        await age(20)
        assert await store.aget(HOME, "k", refresh_ttl=False) is not None
        await age(11)
        assert await store.aget(HOME, "k", refresh_ttl=False) is None

    @pytest.mark.ours
    async def test_an_update_replaces_the_ttl(self, store: BaseStore, age: Age) -> None:
        """Does a put without a time to live make an item that stays?"""
        await store.aput(HOME, "k", {}, ttl=HALF_A_MINUTE)
        await store.aput(HOME, "k", {})
        await age(60)
        assert await store.aget(HOME, "k") is not None

    @pytest.mark.ours
    async def test_an_expired_item_leaves_nothing_behind(self, store: BaseStore, age: Age) -> None:
        """Is what is put over an expired item new, `created_at` too?"""
        await store.aput(HOME, "k", {}, ttl=HALF_A_MINUTE)
        await age(60)
        await store.aput(HOME, "k", {})
        item = await get(store, "k")
        assert item.created_at == item.updated_at


QUESTIONS: dict[str, str] = {
    name: str(test.__doc__)
    for name, test in vars(LangGraphStoreContract).items()
    if name.startswith("test_")
}
"""What each test asks, by its name."""
