"""The storage protocol over HTTP, through `langgraph-sdk`: a translation, nothing decided here.

What the SDK has no call or no argument for (bulk creates, snapshots, the run queue, a caller's id
of a run or a cron, …) is missing: see `harness.storage.extensions`.
"""

from harness.storage.remote.storage import RemoteStorage

__all__ = ["RemoteStorage"]
