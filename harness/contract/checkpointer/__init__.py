"""The contract of LangGraph's checkpointers: plain classes, one for each capability.

The official suite (`langgraph-checkpoint-conformance`) asks little of what has broken savers in
service; this one asks it. A class becomes tests where it is subclassed and given the fixtures of
`harness.contract.checkpointer.base.CheckpointerContract`.
"""

from harness.contract.checkpointer.atomic import SaverAtomicContract
from harness.contract.checkpointer.base import CheckpointerContract
from harness.contract.checkpointer.concurrency import SaverConcurrencyContract
from harness.contract.checkpointer.deletion import (
    SaverCopyContract,
    SaverDeleteContract,
    SaverPruneContract,
    SaverRunsContract,
)
from harness.contract.checkpointer.delta import SaverDeltaContract
from harness.contract.checkpointer.history import SaverHistoryContract
from harness.contract.checkpointer.namespaces import SaverNamespaceContract
from harness.contract.checkpointer.putting import SaverPutContract
from harness.contract.checkpointer.reading import SaverReadContract
from harness.contract.checkpointer.writes import SaverWritesContract

ALL: tuple[type[CheckpointerContract], ...] = (
    SaverReadContract,
    SaverPutContract,
    SaverNamespaceContract,
    SaverWritesContract,
    SaverHistoryContract,
    SaverDeleteContract,
    SaverPruneContract,
    SaverRunsContract,
    SaverCopyContract,
    SaverAtomicContract,
    SaverConcurrencyContract,
    SaverDeltaContract,
)
"""Every contract class, in the order in which it is best read."""

__all__ = [
    "ALL",
    "CheckpointerContract",
    "SaverAtomicContract",
    "SaverConcurrencyContract",
    "SaverCopyContract",
    "SaverDeleteContract",
    "SaverDeltaContract",
    "SaverHistoryContract",
    "SaverNamespaceContract",
    "SaverPruneContract",
    "SaverPutContract",
    "SaverReadContract",
    "SaverRunsContract",
    "SaverWritesContract",
]
