"""What lies in LangGraph's checkpoint tables, read by plain SQL and past every saver."""

from dataclasses import dataclass
from typing import Any, Final

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from harness.storage.postgres.sql import load

SQL: Final = load("rows", package="harness.faults")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A row of `checkpoints`, with the blobs that it points to decoded."""

    namespace: str
    """Empty for the graph itself; of a subgraph, the path to it."""
    checkpoint_id: str
    parent_id: str | None
    source: str
    """`input`, `loop`, `update` or `fork`."""
    step: int
    values: dict[str, Any]
    """By channel; LangGraph's own channels are among them."""

    @property
    def said(self) -> list[str]:
        """The texts of the conversation up to here."""
        return [str(message.text) for message in self.values.get("messages", [])]


async def checkpoint_rows(url: str, thread_id: str) -> list[CheckpointRow]:
    """Return all checkpoints of a thread, the oldest of each namespace first."""
    serde = JsonPlusSerializer()
    async with await AsyncConnection.connect(
        url, autocommit=True, prepare_threshold=None, row_factory=dict_row
    ) as connection:
        cursor = await connection.execute(SQL["checkpoints"], {"thread_id": thread_id})
        rows = await cursor.fetchall()
    return [
        CheckpointRow(
            namespace=row["checkpoint_ns"],
            checkpoint_id=row["checkpoint_id"],
            parent_id=row["parent_checkpoint_id"],
            source=row["source"],
            step=row["step"],
            values={
                **(row["inline"] or {}),
                **{
                    channel: serde.loads_typed((kind, bytes(blob)))
                    for channel, kind, blob in zip(
                        row["channels"], row["types"], row["blobs"], strict=True
                    )
                },
            },
        )
        for row in rows
    ]
