"""Signatures: the same arguments, in the same order, with the same defaults, in every store."""

import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from harness.contract.base import StorageContract
from harness.storage import extensions
from harness.storage.extensions import (
    BulkCreate,
    BulkPut,
    CronQueue,
    FullStorage,
    HeadCache,
    ItemKeeper,
    RunQueue,
    RunRecords,
    Snapshots,
    ThreadKeeper,
)

FULL = {
    "assistants": extensions.FullAssistants,
    "threads": extensions.FullThreads,
    "runs": extensions.FullRuns,
    "items": extensions.FullItems,
    "crons": extensions.FullCrons,
}


def _methods(protocol: type) -> Iterator[tuple[str, inspect.Signature]]:
    """Yield the methods that a protocol asks for."""
    for name in sorted(dir(protocol)):
        if not name.startswith("_"):
            yield name, inspect.signature(getattr(protocol, name))


METHODS = [
    pytest.param(resource, name, wanted, id=f"{resource}.{name}")
    for resource, protocol in FULL.items()
    for name, wanted in _methods(protocol)
]


class SignatureContract(StorageContract):
    """What the interface itself promises, for whoever calls it by position or by default."""

    needs: ClassVar[frozenset[type]] = frozenset(
        {
            *(BulkCreate, BulkPut, CronQueue, HeadCache, ItemKeeper),
            *(RunQueue, RunRecords, Snapshots, ThreadKeeper),
        }
    )

    @pytest.mark.invariant(34)
    @pytest.mark.parametrize(("resource", "name", "wanted"), METHODS)
    async def test_arguments(
        self, storage: FullStorage, resource: str, name: str, wanted: inspect.Signature
    ) -> None:
        """Each method takes what the protocol says: in that order, with those defaults."""
        method = getattr(getattr(storage, resource), name)
        assert inspect.iscoroutinefunction(method)
        given = inspect.signature(method).parameters
        asked = {key: one for key, one in wanted.parameters.items() if key != "self"}
        shared = [key for key in given if key in asked]
        assert _positional(given) == _positional(asked)
        assert set(shared) == set(asked)
        for key in shared:
            assert (given[key].kind, given[key].default) == (asked[key].kind, asked[key].default)
        for key in given.keys() - asked.keys():
            assert given[key].kind is inspect.Parameter.KEYWORD_ONLY
            assert given[key].default is not inspect.Parameter.empty

    @pytest.mark.invariant(34)
    @pytest.mark.parametrize(("resource", "name", "wanted"), METHODS)
    async def test_owner_is_a_keyword(
        self, storage: FullStorage, resource: str, name: str, wanted: inspect.Signature
    ) -> None:
        """The owner is never positional, and never anybody by default but a worker's everybody."""
        owner = inspect.signature(getattr(getattr(storage, resource), name)).parameters["owner"]
        assert owner.kind is inspect.Parameter.KEYWORD_ONLY
        optional = name in {"claim", "claim_due", "sweep"}
        assert owner.default is (None if optional else inspect.Parameter.empty)


def _positional(parameters: Any) -> list[str]:
    return [
        key for key, one in parameters.items() if one.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
