"""Crons over HTTP."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from langgraph_sdk.client import CronClient, LangGraphClient

from harness.errors import InvalidInput
from harness.models import Cron, OnRunCompleted, SortOrder
from harness.storage.checks import check_time
from harness.storage.interface import CronSortBy, JsonObject, Keep
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

_PAYLOAD: Final = names_of(CronClient.create) | {"multitask_strategy"}
_CHANGES: Final = names_of(CronClient.update)


class RemoteCrons:
    """`CronStore`, as the SDK calls it."""

    def __init__(self, client: Callable[[str], LangGraphClient]) -> None:
        self._client = client

    async def create(
        self,
        assistant_id: str,
        *,
        schedule: str,
        thread_id: str | None = None,
        payload: JsonObject | None = None,
        metadata: JsonObject | None = None,
        timezone: str | None = None,
        end_time: datetime | None = None,
        enabled: bool = True,
        on_run_completed: OnRunCompleted | None = None,
        cron_id: str | None = None,
        owner: str,
    ) -> Cron:
        """Store a cron; `payload` are the SDK call's run arguments.

        The SDK has no place for a cron's id, which a server of this project takes all the same.

        Raises:
            InvalidInput: The fate of a firing's thread was given, where there is no such thread.
        """
        if thread_id is not None and on_run_completed is not None:
            raise InvalidInput("the API has no place for on_run_completed of a thread's cron")
        asked: dict[str, Any] = {
            **arguments(payload, "payload", _PAYLOAD),
            "schedule": schedule,
            "metadata": checked(metadata, "metadata"),
            "timezone": timezone,
            "end_time": _time(end_time),
            "enabled": enabled,
        }

        async def send() -> Any:
            client = self._client(owner)
            if cron_id is not None:
                place = "" if thread_id is None else f"/threads/{quote(thread_id, safe='')}"
                return await client.http.post(
                    f"{place}/runs/crons",
                    json=body(
                        cron_id=cron_id,
                        assistant_id=assistant_id,
                        on_run_completed=on_run_completed,
                        **asked,
                    ),
                )
            if thread_id is None:
                return await client.crons.create(
                    assistant_id, on_run_completed=on_run_completed, **asked
                )
            return await client.crons.create_for_thread(
                needed(thread_id, "thread ID"), assistant_id, **asked
            )

        return wire.cron(await write(send))

    async def update(
        self,
        cron_id: str,
        *,
        schedule: str | None = None,
        timezone: str | None = None,
        payload: JsonObject | None = None,
        metadata: JsonObject | None = None,
        end_time: datetime | Keep | None = Keep.KEEP,
        enabled: bool | None = None,
        on_run_completed: OnRunCompleted | None = None,
        owner: str,
    ) -> Cron:
        """Change a cron."""
        asked: dict[str, Any] = {
            **arguments(payload, "payload", _CHANGES),
            "schedule": schedule,
            "timezone": timezone,
            "metadata": checked(metadata, "metadata"),
            "enabled": enabled,
            "on_run_completed": on_run_completed,
        }
        if not isinstance(end_time, Keep):
            asked["end_time"] = _time(end_time)
        found: Any = await write(
            lambda: self._client(owner).crons.update(needed(cron_id, "cron ID"), **asked)
        )
        return wire.cron(found)

    async def search(
        self,
        *,
        assistant_id: str | None = None,
        thread_id: str | None = None,
        enabled: bool | None = None,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: CronSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Cron]:
        """Find crons."""
        found: Any = await read(
            lambda: self._client(owner).crons.search(
                assistant_id=assistant_id,
                thread_id=thread_id,
                enabled=enabled,
                metadata=checked(metadata, "metadata"),
                limit=needed(limit, "limit"),
                offset=needed(offset, "offset"),
                sort_by=needed(sort_by, "sort_by"),
                sort_order=needed(sort_order, "sort_order"),
            )
        )
        return [wire.cron(one) for one in found]

    async def count(
        self,
        *,
        assistant_id: str | None = None,
        thread_id: str | None = None,
        enabled: bool | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find without a limit."""
        asked = body(
            assistant_id=assistant_id,
            thread_id=thread_id,
            metadata=checked(metadata, "metadata"),
            enabled=enabled,
        )
        # The SDK's method has no `enabled`, which the server takes all the same.
        counted: Any = await read(
            lambda: self._client(owner).http.post("/runs/crons/count", json=asked)
        )
        return int(counted)

    async def delete(self, cron_id: str, *, owner: str) -> None:
        """Remove a cron."""
        await write(lambda: self._client(owner).crons.delete(needed(cron_id, "cron ID")))


def _time(value: Any) -> datetime | None:
    """Return a time that the SDK can write."""
    return None if value is None else check_time(value, "end_time")
