"""Crons: schedules that make runs, on a thread or each on one of its own."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, field_validator

from harness.models import Cron, MultitaskStrategy, OnRunCompleted
from harness.server.http import Call, Nothing, Reply, Route, Schema
from harness.server.routes import starting
from harness.server.routes.paging import PAGED, Sorted, page, shown
from harness.server.routes.run_bodies import ConfigBody, Durability, StreamMode
from harness.server.users import ANYBODY
from harness.storage.interface import CronSortBy, Keep

CronField = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "end_time",
    "schedule",
    "timezone",
    "created_at",
    "updated_at",
    "user_id",
    "payload",
    "next_run_date",
    "metadata",
    "on_run_completed",
    "enabled",
]

_BESIDE_THE_PAYLOAD: Final = {
    "assistant_id",
    "schedule",
    "timezone",
    "end_time",
    "enabled",
    "on_run_completed",
    "cron_id",
}


class CronShape(BaseModel):
    """A schedule that makes runs."""

    cron_id: str
    assistant_id: str
    thread_id: str | None
    """Null: each firing makes a thread of its own."""
    user_id: str | None
    """Whose it is; null where there is no authentication."""
    end_time: datetime | None
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    """What its runs are asked to do."""
    next_run_date: datetime | None
    """Null once no firing lies before `end_time`."""
    metadata: dict[str, Any]
    on_run_completed: OnRunCompleted | None
    """What becomes of a firing's own thread; null where it has none."""
    enabled: bool
    created_at: datetime
    updated_at: datetime


def _time(given: Any) -> Any:
    """Read a time as JSON has it; what is no text is left to be refused."""
    return datetime.fromisoformat(given) if isinstance(given, str) else given


Time = Annotated[datetime, BeforeValidator(_time)]


class CronPayload(Schema):
    """What a cron's runs are asked to do."""

    input: Any = None
    config: ConfigBody | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    """Of the cron and of its runs."""
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    multitask_strategy: MultitaskStrategy | None = None
    stream_mode: list[StreamMode] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    durability: Durability | None = None
    checkpoint_during: bool | None = None
    webhook: str | None = None
    """An http(s) address that is told how each run ended."""

    @field_validator("stream_mode", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    def payload(self) -> dict[str, Any]:
        """Return what was given for the runs, under the SDK's names."""
        return self.model_dump(exclude_unset=True, exclude_none=True, exclude=_BESIDE_THE_PAYLOAD)


class ThreadCronCreate(CronPayload):
    """A new cron of a thread."""

    assistant_id: str
    """Its id, or the name of a graph."""
    schedule: str
    """Five fields, or six with seconds last; weekdays 0 and 7 are Sunday."""
    timezone: str | None = None
    """An IANA name; null is UTC."""
    end_time: Time | None = None
    enabled: bool | None = None
    cron_id: str | None = None
    """Its id, which the official server makes itself."""


class CronCreate(ThreadCronCreate):
    """A new cron."""

    on_run_completed: OnRunCompleted | None = None


class CronUpdate(CronPayload):
    """What becomes different; metadata and the payload's fields merge."""

    schedule: str | None = None
    timezone: str | None = None
    end_time: Time | None = None
    """Null: it goes on for ever."""
    enabled: bool | None = None
    on_run_completed: OnRunCompleted | None = None


class CronCount(Schema):
    """Which crons."""

    is_search: ClassVar[bool] = True
    assistant_id: str | None = None
    thread_id: str | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None
    """What their metadata contain."""


class CronSearch(CronCount, Sorted):
    """Which crons, and which part of them in which order."""

    sort_by: CronSortBy = "created_at"
    select: list[CronField | Literal["now"]] | None = None
    """Fields to show; all by default."""


async def create(call: Call[CronCreate, Nothing]) -> Reply:
    """Create a cron whose runs are on threads of their own."""
    return await _create(call, call.body, on_run_completed=call.body.on_run_completed)


async def create_for_thread(call: Call[ThreadCronCreate, Nothing]) -> Reply:
    """Create a cron whose runs are on a thread."""
    return await _create(call, call.body, thread_id=call.path["thread_id"])


async def _create(call: Call[Any, Any], body: ThreadCronCreate, **further: Any) -> Reply:
    await starting.check_graph(call, body.assistant_id)
    call.services.webhooks.check(body.webhook)
    made = await call.services.storage.crons.create(
        call.services.graphs.assistant_id(body.assistant_id),
        schedule=body.schedule,
        payload=body.payload(),
        metadata=body.metadata,
        timezone=body.timezone,
        end_time=body.end_time,
        enabled=body.enabled is not False,
        cron_id=body.cron_id,
        owner=call.owner,
        **further,
    )
    return Reply(body=_cron(made))


async def update(call: Call[CronUpdate, Nothing]) -> Reply:
    """Change a cron."""
    body = call.body
    call.services.webhooks.check(body.webhook)
    updated = await call.services.storage.crons.update(
        call.path["cron_id"],
        schedule=body.schedule,
        timezone=body.timezone,
        payload=body.payload(),
        metadata=body.metadata,
        end_time=body.end_time if "end_time" in body.model_fields_set else Keep.KEEP,
        enabled=body.enabled,
        on_run_completed=body.on_run_completed,
        owner=call.owner,
    )
    return Reply(body=_cron(updated))


async def delete(call: Call[Nothing, Nothing]) -> Reply:
    """Delete a cron; the runs that it made stay."""
    await call.services.storage.crons.delete(call.path["cron_id"], owner=call.owner)
    return Reply(status=204)


async def search(call: Call[CronSearch, Nothing]) -> Reply:
    """Find crons."""
    body, crons = call.body, call.services.storage.crons
    which = _which(body)
    found = await crons.search(**which, **body.part, owner=call.owner)
    rows = [_cron(one) for one in found]
    return await page(rows, body, body.select, lambda: crons.count(**which, owner=call.owner))


async def count(call: Call[CronCount, Nothing]) -> Reply:
    """Count what a search would find."""
    which = _which(call.body)
    return Reply(body=await call.services.storage.crons.count(**which, owner=call.owner))


def _which(body: CronCount) -> dict[str, Any]:
    return body.model_dump(include=set(CronCount.model_fields))


def _cron(cron: Cron) -> dict[str, Any]:
    owner = cron.metadata.get("owner")
    return {
        **shown(cron),
        "user_id": None if owner == ANYBODY else owner,
        "on_run_completed": cron.on_run_completed if cron.thread_id is None else None,
    }


ROUTES: tuple[Route, ...] = (
    Route("POST", "/runs/crons", create, {200: CronShape}, fails=(404, 409)),
    Route(
        "POST",
        "/threads/{thread_id}/runs/crons",
        create_for_thread,
        {200: CronShape},
        fails=(403, 404, 409),
    ),
    Route("PATCH", "/runs/crons/{cron_id}", update, {200: CronShape}, fails=(403, 404)),
    Route("DELETE", "/runs/crons/{cron_id}", delete, {204: None}, fails=(403, 404)),
    Route("POST", "/runs/crons/search", search, {200: list[CronShape]}, headers=PAGED),
    Route("POST", "/runs/crons/count", count, {200: int}),
)
