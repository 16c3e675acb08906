"""The memory backend's jsonb operators answer as PostgreSQL's own do."""

from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from harness.contract.stateful.strategies import JSON
from harness.errors import InvalidInput
from harness.storage.memory.jsonb import contains, copied, equal
from harness.storage.values import canonical

QUESTION = "SELECT a @> b, a = b FROM (SELECT %s::jsonb AS a, %s::jsonb AS b) AS pair"


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for small objects, of few keys, so that one often contains another."""
    return st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)


VALUES = st.recursive(
    st.sampled_from([None, True, 1, 1.0, 0, 1.5, "1", ""]) | JSON,
    lambda inner: st.lists(inner, max_size=3) | objects(inner),
    max_leaves=8,
)


@pytest.mark.invariant(23, 43)
def test_containment_and_equality(database_url: str) -> None:
    """On random objects, `contains` is `@>` and `equal` is `=`."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        @given(objects(VALUES), objects(VALUES), st.booleans())
        def ask(container: Any, wanted: Any, alike: bool) -> None:
            try:
                left, right = canonical(container), canonical(container if alike else wanted)
            except InvalidInput:
                return
            if alike:  # take something out, so that containment is not always false
                right = {
                    key: value[:1] if isinstance(value, list) else value
                    for key, value in right.items()
                }
            answer = connection.execute(QUESTION, (Jsonb(left), Jsonb(right))).fetchone()
            assert answer == (contains(left, right), equal(left, right))
            assert equal(copied(left), left)

        ask()
