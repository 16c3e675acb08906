"""Measures what pruning long threads gives back, and that they read afterwards as before."""

import time
from collections.abc import Sequence

from harness.database import Database
from harness.errors import ResultsError
from harness.measure.agent_records import PruneGain
from harness.measure.footprint import footprint
from harness.measure.growing import config_of, texts_of
from harness.measure.long_threads import CutThread
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend


async def prune_threads(
    database: Database, threads: Sequence[CutThread], keep_latest: int
) -> list[PruneGain]:
    """Prune threads one after another, and weigh them before and after.

    Args:
        database: Where they are.
        threads: Which.
        keep_latest: How many checkpoints are asked to stay.

    Raises:
        ResultsError: A thread has lost a message.
    """
    storage = LocalStorage(PostgresBackend(database))
    gains = []
    for thread in threads:
        before = await footprint(database, thread.thread_id)
        began_s = time.perf_counter()
        await storage.threads.prune_history([thread.thread_id], keep=keep_latest, owner=None)
        took_s = time.perf_counter() - began_s
        after = await footprint(database, thread.thread_id)
        state = await thread.graph.aget_state(config_of(thread.thread_id))
        if tuple(texts_of(state)) != thread.said:
            raise ResultsError(f"after pruning {thread.thread_id} has other messages")
        gains.append(
            PruneGain(
                channels=thread.channels,
                turns=len(thread.said) // 2,
                keep_latest=keep_latest,
                checkpoints_before=before.rows["checkpoints"],
                checkpoints_after=after.rows["checkpoints"],
                rows_before=sum(before.rows.values()),
                rows_after=sum(after.rows.values()),
                bytes_before=sum(before.stored_bytes.values()),
                bytes_after=sum(after.stored_bytes.values()),
                took_s=took_s,
            )
        )
    return gains
