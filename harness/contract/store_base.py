"""What the store contract starts from: the fixtures a store supplies, its differences, helpers."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from langgraph.store.base import BaseStore, Item

from harness.contract.builders import settle
from harness.contract.store_differences import StoreDifference

Age = Callable[[float], Awaitable[None]]
"""Makes everything in the store that many seconds older."""

HOME = ("home",)


class StoreSubject:
    """A store under test; a subclass supplies the two fixtures.

    What the store is known to answer differently stands in `differences`: it is expected to fail,
    and reported when it does not fail any more.
    """

    subject_name: ClassVar[str] = ""
    """What results call the store."""
    differences: ClassVar[tuple[StoreDifference, ...]] = ()

    @pytest.fixture
    def store(self) -> BaseStore:
        """Return the store under test, empty."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `store` fixture")

    @pytest.fixture
    def age(self) -> Age:
        """Return what makes the store's items older."""
        raise NotImplementedError(f"{type(self).__name__} supplies no `age` fixture")

    @pytest.fixture(autouse=True)
    def _expect_differences(self, request: pytest.FixtureRequest) -> None:
        name = request.function.__name__
        for known in self.differences:
            if known.question == name:
                request.applymarker(
                    pytest.mark.xfail(reason=known.why, raises=known.raises, strict=True)
                )


async def put(store: BaseStore, **values: dict[str, Any]) -> None:
    """Put values under their keys."""
    for key, value in values.items():
        await store.aput(HOME, key, value)


async def get(store: BaseStore, key: str, namespace: tuple[str, ...] = HOME) -> Item:
    """Return an item that must be there."""
    item = await store.aget(namespace, key)
    assert item is not None
    return item


async def found(store: BaseStore, condition: dict[str, Any]) -> set[str]:
    """Return the keys of what a filter finds."""
    return {item.key for item in await store.asearch(HOME, filter=condition, limit=100)}


async def refused(call: Awaitable[Any]) -> bool:
    """Whether a call raises; which error is each store's own."""
    _, errors = await settle([call], expect=Exception)
    return bool(errors)
