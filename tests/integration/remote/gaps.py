"""What the API cannot say: calls that it does not have, and promises that it changes."""

from dataclasses import dataclass
from typing import Final

from harness import contract
from harness.contract import StorageContract
from harness.errors import HarnessError, InvalidInput, NotFound
from harness.storage.extensions import (
    BulkCreate,
    BulkPut,
    CronQueue,
    HeadCache,
    ItemKeeper,
    Retention,
    RunQueue,
    RunRecords,
    Snapshots,
    ThreadKeeper,
)

LACKS: Final[dict[str, tuple[type, ...]]] = {
    "assistants": (BulkCreate,),
    "threads": (BulkCreate, Snapshots, HeadCache, Retention, ThreadKeeper),
    "runs": (BulkCreate, RunRecords, RunQueue),
    "items": (BulkPut, ItemKeeper),
    "crons": (BulkCreate, CronQueue),
}
"""By resource, the protocols of which a server offers its callers nothing."""

UNSAID: Final[tuple[type[StorageContract], ...]] = (
    contract.BulkCreateContract,
    contract.BulkPutContract,
    contract.HeadCacheContract,
    contract.RetentionContract,
    contract.RunTransitionsContract,
    contract.RunQueueContract,
    contract.BeginningRunsContract,
    contract.LeaseContract,
    contract.CronFiringContract,
)
"""Contracts of these protocols alone: over the wire there is nothing to ask."""


@dataclass(frozen=True, slots=True)
class Change:
    """A promise that is another one over the wire, and how the contract's test ends there."""

    of: type[StorageContract]
    test: str
    why: str
    raises: type[HarnessError] | type[AssertionError]
    cases: tuple[str, ...] = ()
    """Of a test with cases, those that it concerns; none: all."""


_NAMED = "what a run is asked to do has names, and no others can be sent"
_FIELDS = ("run.kwargs", "cron.payload")

CHANGES: Final = (
    Change(
        contract.AssistantStoreContract,
        "test_update_graph_and_description",
        "the SDK sends no empty description",
        InvalidInput,
    ),
    Change(
        contract.RunStoreContract,
        "test_delete_of_an_ended_run_leaves_the_thread",
        "deleting a run undoes it: its thread shows neither its state nor its error any more",
        AssertionError,
    ),
    Change(
        contract.CronStoreContract,
        "test_create_and_get",
        "a thread's cron has no on_run_completed",
        InvalidInput,
    ),
    Change(
        contract.CronStoreContract,
        "test_update_cron_bug_pg_002_dicts_are_serialised",
        _NAMED,
        InvalidInput,
    ),
    Change(contract.CronStoreContract, "test_update_every_field", _NAMED, InvalidInput),
    Change(contract.ValuesContract, "test_values_keep_their_types", _NAMED, InvalidInput, _FIELDS),
    Change(contract.ValuesContract, "test_one_canonical_form", _NAMED, InvalidInput, _FIELDS),
    Change(
        contract.ValuesContract,
        "test_what_goes_in_and_out_is_copied",
        _NAMED,
        InvalidInput,
        _FIELDS,
    ),
    Change(
        contract.LargeValuesContract, "test_kwargs_and_items_of_a_megabyte", _NAMED, InvalidInput
    ),
    Change(
        contract.LargeValuesContract,
        "test_names_of_2000_bytes",
        "a graph must be one that is served",
        NotFound,
    ),
)
"""Every promise that the wire changes. Each is expected to fail there, and told if it does not."""
