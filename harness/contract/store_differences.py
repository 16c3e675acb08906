"""How LangGraph's own stores answer `LangGraphStoreContract`'s questions differently, and why.

Of langgraph-checkpoint 4.3.2 and langgraph-checkpoint-postgres 3.2.0, the latter told to
`omit_expired`: by itself it returns expired items until they are swept.
"""

from dataclasses import dataclass
from typing import Final

IN_MEMORY: Final = "InMemoryStore"
POSTGRES: Final = "AsyncPostgresStore"


@dataclass(frozen=True, slots=True)
class StoreDifference:
    """One question that a store is known to answer with no."""

    question: str
    """Name of the contract's test; `harness.contract.langgraph_store.QUESTIONS` has its words."""
    store: str
    why: str
    raises: type[Exception] = AssertionError
    """What the question ends with: a wrong answer, or an error of the store's own."""


STORE_DIFFERENCES: Final = (
    StoreDifference(
        "test_an_order_passes_over_missing_keys",
        IN_MEMORY,
        "the missing value goes through float(), which fails the search",
        TypeError,
    ),
    StoreDifference(
        "test_strings_have_an_order",
        IN_MEMORY,
        "both sides go through float(), which fails the search",
        ValueError,
    ),
    StoreDifference(
        "test_numbers_and_strings_have_no_order",
        IN_MEMORY,
        "the text goes through float() and is a number then",
    ),
    StoreDifference("test_true_is_not_one", IN_MEMORY, "Python's == takes True for 1"),
    StoreDifference(
        "test_an_empty_object_equals_itself_only",
        IN_MEMORY,
        "a filter for {} is all of no conditions",
    ),
    StoreDifference(
        "test_an_unknown_operator_is_refused",
        IN_MEMORY,
        "operators are looked at only beside an item",
    ),
    StoreDifference(
        "test_the_last_changed_is_found_first",
        IN_MEMORY,
        "items come in the order of their first puts",
    ),
    StoreDifference(
        "test_a_value_is_json", IN_MEMORY, "the value is kept as the Python object it was"
    ),
    StoreDifference(
        "test_an_update_keeps_created_at",
        IN_MEMORY,
        "a put makes a new item, with a new created_at",
    ),
    StoreDifference("test_what_goes_in_is_copied", IN_MEMORY, "only the outermost dict is copied"),
    StoreDifference(
        "test_what_comes_out_is_a_copy", IN_MEMORY, "a get returns the stored item itself"
    ),
    StoreDifference(
        "test_what_is_not_json_is_refused",
        IN_MEMORY,
        "values are never serialized, so anything is taken",
    ),
    StoreDifference("test_nul_in_a_key_is_refused", IN_MEMORY, "keys are not checked"),
    StoreDifference(
        "test_reading_makes_no_namespace",
        IN_MEMORY,
        "reading a missing namespace makes it (a defaultdict)",
    ),
    StoreDifference(
        "test_an_emptied_namespace_is_gone",
        IN_MEMORY,
        "a namespace without items stays in the dict",
    ),
    StoreDifference(
        "test_bad_labels_are_refused_in_a_batch",
        IN_MEMORY,
        "aput checks namespaces, abatch does not",
    ),
    StoreDifference(
        "test_reserved_namespaces_are_refused_in_a_batch",
        IN_MEMORY,
        "aput checks namespaces, abatch does not",
    ),
    StoreDifference(
        "test_a_batch_reads_its_own_writes",
        IN_MEMORY,
        "a batch's puts are applied after all its reads",
    ),
    StoreDifference(
        "test_ttl_below_a_minute", IN_MEMORY, "there is no time to live", NotImplementedError
    ),
    StoreDifference(
        "test_reading_renews_the_ttl", IN_MEMORY, "there is no time to live", NotImplementedError
    ),
    StoreDifference(
        "test_an_update_replaces_the_ttl",
        IN_MEMORY,
        "there is no time to live",
        NotImplementedError,
    ),
    StoreDifference(
        "test_an_expired_item_leaves_nothing_behind",
        IN_MEMORY,
        "there is no time to live",
        NotImplementedError,
    ),
    StoreDifference(
        "test_numbers_compare_as_numbers",
        POSTGRES,
        "both sides are compared as text: 10 comes before 9",
    ),
    StoreDifference(
        "test_numbers_and_strings_have_no_order", POSTGRES, "both sides are compared as text"
    ),
    StoreDifference(
        "test_ne_finds_items_without_the_key",
        POSTGRES,
        "a missing key is SQL's NULL, which is not unequal to anything",
    ),
    StoreDifference(
        "test_null_finds_items_without_the_key",
        POSTGRES,
        "a missing key is SQL's NULL, which is not JSON's null",
    ),
    StoreDifference(
        "test_nested_filters",
        POSTGRES,
        "the keys of a nested object are taken for operators",
        ValueError,
    ),
    StoreDifference(
        "test_nested_operators",
        POSTGRES,
        "the keys of a nested object are taken for operators",
        ValueError,
    ),
    StoreDifference(
        "test_an_empty_object_equals_itself_only",
        POSTGRES,
        "a filter for {} is no condition at all",
    ),
    StoreDifference(
        "test_namespaces_are_sorted_label_by_label",
        POSTGRES,
        "namespaces are sorted as text with dots, by the server's locale",
    ),
    StoreDifference(
        "test_reserved_namespaces_are_refused_in_a_batch", POSTGRES, "abatch checks the labels only"
    ),
    StoreDifference(
        "test_a_batch_reads_its_own_writes", POSTGRES, "a batch's puts are sent after all its reads"
    ),
    StoreDifference(
        "test_one_bad_put_among_many_callers",
        POSTGRES,
        "callers of the same moment share one transaction",
    ),
    StoreDifference(
        "test_one_bad_filter_among_many_callers",
        POSTGRES,
        "callers of the same moment share one transaction",
    ),
    StoreDifference("test_one_bad_operation_in_a_batch", POSTGRES, "a batch is one transaction"),
    StoreDifference(
        "test_reading_renews_the_ttl",
        POSTGRES,
        "ttl_minutes is an integer column: half a minute is renewed by none",
    ),
    StoreDifference(
        "test_an_expired_item_leaves_nothing_behind",
        POSTGRES,
        "the expired row is overwritten and keeps its created_at",
    ),
)
"""Every known difference; a store of this project has none."""
