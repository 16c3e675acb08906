"""The shipped suite: plain classes, one for each capability, with no backend in them.

A class becomes tests where it is subclassed and given its two fixtures
(`harness.contract.base.StorageContract`); `harness.contract.suite` does that for all of them.
"""

from harness.contract.assistants import AssistantStoreContract, AssistantVersionsContract
from harness.contract.base import StorageContract
from harness.contract.beginning import BeginningRunsContract
from harness.contract.bulk import BulkCreateContract, BulkPutContract
from harness.contract.concurrency import ConcurrencyContract
from harness.contract.crons import CronStoreContract
from harness.contract.expiry import ItemExpiryContract
from harness.contract.filters import ItemFilterContract
from harness.contract.firing import CronFiringContract, CronScheduleContract
from harness.contract.heads import HeadCacheContract
from harness.contract.identity import IdentityContract
from harness.contract.integration import CrossStoreIntegrationContract
from harness.contract.items import StoreStorageContract
from harness.contract.large import LargeValuesContract
from harness.contract.namespaces import ListNamespacesContract, NamespaceContract
from harness.contract.ownership import OwnershipContract
from harness.contract.paging import PagingContract
from harness.contract.queue import LeaseContract, RunQueueContract
from harness.contract.retention import RetentionContract
from harness.contract.runs import RunStoreContract
from harness.contract.signatures import SignatureContract
from harness.contract.snapshots import HistoryContract, SnapshotContract
from harness.contract.thread_expiry import ThreadExpiryContract, ThreadTtlContract
from harness.contract.threads import (
    ThreadCopyContract,
    ThreadPruneContract,
    ThreadStoreContract,
)
from harness.contract.transitions import RunTransitionsContract
from harness.contract.values import ValuesContract
from harness.contract.waiting import WaitingRunsContract

ALL: tuple[type[StorageContract], ...] = (
    AssistantStoreContract,
    AssistantVersionsContract,
    ThreadStoreContract,
    ThreadCopyContract,
    ThreadPruneContract,
    ThreadTtlContract,
    ThreadExpiryContract,
    SnapshotContract,
    HistoryContract,
    HeadCacheContract,
    RetentionContract,
    RunStoreContract,
    RunTransitionsContract,
    RunQueueContract,
    BeginningRunsContract,
    WaitingRunsContract,
    LeaseContract,
    StoreStorageContract,
    ItemFilterContract,
    NamespaceContract,
    ListNamespacesContract,
    ItemExpiryContract,
    CronStoreContract,
    CronScheduleContract,
    CronFiringContract,
    BulkCreateContract,
    BulkPutContract,
    IdentityContract,
    OwnershipContract,
    ValuesContract,
    LargeValuesContract,
    PagingContract,
    ConcurrencyContract,
    CrossStoreIntegrationContract,
    SignatureContract,
)
"""Every contract class, in the order in which it is best read."""

__all__ = [
    "ALL",
    "AssistantStoreContract",
    "AssistantVersionsContract",
    "BeginningRunsContract",
    "BulkCreateContract",
    "BulkPutContract",
    "ConcurrencyContract",
    "CronFiringContract",
    "CronScheduleContract",
    "CronStoreContract",
    "CrossStoreIntegrationContract",
    "HeadCacheContract",
    "HistoryContract",
    "IdentityContract",
    "ItemExpiryContract",
    "ItemFilterContract",
    "LargeValuesContract",
    "LeaseContract",
    "ListNamespacesContract",
    "NamespaceContract",
    "OwnershipContract",
    "PagingContract",
    "RetentionContract",
    "RunQueueContract",
    "RunStoreContract",
    "RunTransitionsContract",
    "SignatureContract",
    "SnapshotContract",
    "StorageContract",
    "StoreStorageContract",
    "ThreadCopyContract",
    "ThreadExpiryContract",
    "ThreadPruneContract",
    "ThreadStoreContract",
    "ThreadTtlContract",
    "ValuesContract",
    "WaitingRunsContract",
]
