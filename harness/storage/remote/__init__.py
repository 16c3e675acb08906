"""The storage protocol over HTTP, through `langgraph-sdk`: a translation, nothing decided here.

What the SDK has no call for (bulk creates, snapshots, the run queue, …) is missing: see
`harness.storage.extensions`. For the few arguments that it has no place for (the id of a run or a
cron, the order of items, …) the request is posted through its client by hand: a server of this
project takes them, another one may not.
"""

from harness.storage.remote.storage import RemoteStorage

__all__ = ["RemoteStorage"]
