"""Runs over HTTP: creating one has it executed."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from langgraph_sdk.client import LangGraphClient, RunsClient

from harness.models import IfNotExists, MultitaskStrategy, Run, RunStatus
from harness.storage.interface import JsonObject
from harness.storage.remote import wire
from harness.storage.remote.wire import (
    arguments,
    body,
    checked,
    names_of,
    needed,
    read,
    write,
)
from harness.storage.resources.arguments import make_page

_KWARGS: Final = names_of(RunsClient.create)
_UNSAID: Final = {"stream_mode": None, "stream_subgraphs": None, "stream_resumable": None}
"""What the SDK would send by default, and a run would have in its `kwargs` then."""


class RemoteRuns:
    """`RunStore`, as the SDK calls it."""

    def __init__(self, client: Callable[[str], LangGraphClient]) -> None:
        self._client = client

    async def create(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        kwargs: JsonObject | None = None,
        metadata: JsonObject | None = None,
        multitask_strategy: MultitaskStrategy = "enqueue",
        if_not_exists: IfNotExists = "reject",
        after_seconds: float = 0,
        run_id: str | None = None,
        owner: str,
    ) -> Run:
        """Queue a run; `kwargs` are the SDK call's own arguments.

        The SDK has no place for a run's id, which a server of this project takes all the same.
        """
        asked: dict[str, Any] = {
            **arguments(kwargs, "kwargs", _KWARGS),
            "metadata": checked(metadata, "metadata"),
            "multitask_strategy": needed(multitask_strategy, "multitask_strategy"),
            "if_not_exists": needed(if_not_exists, "if_not_exists"),
            "after_seconds": needed(after_seconds, "after_seconds"),
        }
        path_id = needed(thread_id, "thread ID")

        async def send() -> Any:
            client = self._client(owner)
            if run_id is None:
                return await client.runs.create(path_id, assistant_id, **{**_UNSAID, **asked})
            return await client.http.post(
                f"/threads/{quote(path_id, safe='')}/runs",
                json=body(run_id=run_id, assistant_id=assistant_id, **asked),
            )

        return wire.run(await write(send))

    async def get(self, thread_id: str, run_id: str, *, owner: str) -> Run:
        """Return a run."""
        found: Any = await read(
            lambda: self._client(owner).runs.get(
                needed(thread_id, "thread ID"), needed(run_id, "run ID")
            )
        )
        return wire.run(found)

    async def list(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        offset: int = 0,
        status: RunStatus | None = None,
        owner: str,
    ) -> list[Run]:
        """Return a thread's runs, newest first."""
        # A query has no types: what is no number would be read as one.
        page = make_page(limit, offset, min_limit=0)
        found: Any = await read(
            lambda: self._client(owner).runs.list(
                needed(thread_id, "thread ID"), limit=page.limit, offset=page.offset, status=status
            )
        )
        return [wire.run(one) for one in found]

    async def delete(self, thread_id: str, run_id: str, *, owner: str) -> None:
        """Remove a run."""
        await write(
            lambda: self._client(owner).runs.delete(
                needed(thread_id, "thread ID"), needed(run_id, "run ID")
            )
        )
