"""Creates runs and answers with what comes of them, on a thread that is there or on a new one."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

from harness.errors import Conflict, HarnessError, InvalidInput, NotFound
from harness.models import Run, RunStatus
from harness.persistence import owner_scope
from harness.server.encoding import encode
from harness.server.execution.channel import Channel
from harness.server.execution.heads import head_of
from harness.server.execution.identity import STORED_USER, user_of
from harness.server.execution.outcomes import Outcome, outcome_of
from harness.server.failures import HttpError
from harness.server.http import Call, Reply, StreamReply
from harness.server.routes.run_bodies import BatchRunBody, RunBody
from harness.server.services import Services
from harness.server.sse import HEARTBEAT, events_text
from harness.server.streams import Slot
from harness.server.users import ANYBODY, User
from harness.storage.checks import MAX_LIMIT, check_id
from harness.storage.extensions import FullRuns
from harness.storage.resources.ownership import new_id

KEEP_ALIVE: Final = "\n"
"""Comes before JSON that takes long; whoever parses it skips it."""


def path_of(run: Run) -> str:
    """Return where a run is."""
    return f"/threads/{run.thread_id}/runs/{run.run_id}"


def shown(run: Run) -> dict[str, Any]:
    """Return a run as the official server shows it."""
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "metadata": run.metadata,
        "status": run.status,
        "kwargs": {name: value for name, value in run.kwargs.items() if name != STORED_USER},
        "multitask_strategy": run.multitask_strategy,
        "attempt": run.attempt,
        "error": run.error,
        "due_at": run.due_at,
    }


async def start(
    call: Call[Any, Any], body: RunBody, thread_id: str | None, *, resumable: bool = False
) -> tuple[Run, Channel]:
    """Create a run, on a thread of its own if none is given, and have it executed.

    Returns:
        The run, and the channel where it is heard from its beginning.

    Raises:
        InvalidInput: The thread's id is no UUID.
        HttpError: 400, it has both a context and `config.configurable`, which are one.
        NotFound: There is no such assistant or thread.
        Conflict: The strategy is `reject`, and the thread is busy; or the run's id is taken.
    """
    executor, owner = call.services.executor, call.owner
    run_id = new_id() if body.run_id is None else check_id(body.run_id, "run")
    on_thread = new_id() if thread_id is None else check_id(thread_id, "thread")
    if executor.broker.find(run_id, owner=owner) is not None:  # its events are another run's
        raise Conflict("the id of the run is taken")
    # Before the run is there: it may be claimed, and end, before this is told that it is.
    channel = executor.broker.open(on_thread, run_id, resumable=resumable, owner=owner)
    try:
        run = await create(call, body, thread_id, run_id=run_id, on_thread=on_thread)
    except BaseException:
        executor.broker.discard(channel)
        raise
    executor.watch(channel, owner=owner)
    return run, channel


async def create(
    call: Call[Any, Any],
    body: RunBody,
    thread_id: str | None,
    *,
    run_id: str | None = None,
    on_thread: str | None = None,
) -> Run:
    """Create a run that nobody listens to; see `start`."""
    services, owner = call.services, call.owner
    asked = await _arguments(call, body, thread_id, on_thread=on_thread)
    run = await services.executor.launch(
        asked, run_id=run_id or body.run_id, after_s=body.after_seconds or 0, owner=owner
    )
    await _take_turn(services, run, owner=owner)
    return run


async def create_many(call: Call[Any, Any], bodies: Sequence[BatchRunBody]) -> list[Run]:
    """Create runs, each on the thread that it names or on one of its own, all or none."""
    services = call.services
    runs = await services.storage.runs.create_many(
        [
            {
                **await _arguments(call, body, body.thread_id),
                "run_id": body.run_id,
                "after_seconds": body.after_seconds or 0,
            }
            for body in bodies
        ],
        owner=call.owner,
    )
    for body in bodies:
        services.executor.wake(body.after_seconds or 0, runs=1)
    for run in runs:
        await _take_turn(services, run, owner=call.owner)
    return runs


async def check_graph(call: Call[Any, Any], named: str) -> None:
    """Refuse an assistant whose graph cannot be used, be it the graph's own or one made by a user.

    Raises:
        GraphUnusable: It cannot be; says why.
    """
    graphs = call.services.graphs
    graphs.check(named)
    if not graphs.problems or named in graphs:
        return
    try:
        assistant = await call.services.storage.assistants.get(named, owner=call.owner)
    except (InvalidInput, NotFound):
        return  # what makes the run says so
    graphs.check(assistant.graph_id)


async def _arguments(
    call: Call[Any, Any],
    body: RunBody,
    thread_id: str | None,
    *,
    on_thread: str | None = None,
) -> dict[str, Any]:
    """Return a body as arguments of `runs.create`; without a thread, with one for it alone."""
    if body.context and body.config is not None and body.config.configurable:
        raise HttpError(400, "give context or config.configurable, not both")
    await check_graph(call, body.assistant_id)
    body.check_thread(thread_id)
    call.services.webhooks.check(body.webhook)
    asked: dict[str, Any] = {
        "thread_id": thread_id or on_thread or new_id(),
        "assistant_id": call.services.graphs.assistant_id(body.assistant_id),
        "kwargs": body.kwargs(),
        "metadata": body.metadata,
        "multitask_strategy": body.multitask_strategy or "enqueue",
        "if_not_exists": body.if_not_exists or "reject",
    }
    if call.user is not None and (stored := call.user.stored()):
        asked["kwargs"][STORED_USER] = stored
    if thread_id is None:
        asked["kwargs"]["temporary"] = True
        asked["if_not_exists"] = "create"
    return asked


async def active_of(runs: FullRuns, thread_id: str | None, *, owner: str) -> list[Run]:
    """Return all pending and running runs, of a thread or of all of the owner's.

    What is claimed meanwhile is found as pending at first, and what is handed back at last.
    """
    found: dict[str, Run] = {}
    statuses: tuple[RunStatus, ...] = ("pending", "running", "pending")
    for status in statuses:
        found |= {run.run_id: run for run in await all_of(runs, thread_id, status, owner=owner)}
    return list(found.values())


async def all_of(
    runs: FullRuns, thread_id: str | None, status: RunStatus, *, owner: str
) -> list[Run]:
    """Return all of the owner's runs of a status, of a thread or of all.

    The system's, which everybody can read, are not among them.
    """
    found: list[Run] = []
    while len(found) % MAX_LIMIT == 0:
        page = await runs.search(
            thread_id=thread_id, status=status, limit=MAX_LIMIT, offset=len(found), owner=owner
        )
        if not page:
            break
        found += page
    return [run for run in found if run.metadata["owner"] == owner]


async def streamed(call: Call[Any, Any], body: RunBody, thread_id: str | None) -> StreamReply:
    """Create a run and answer with its events.

    Raises:
        HttpError: 503, too many streams are open; nothing was created.
    """
    slot = call.services.streams.reserve(call.owner)
    try:
        run, channel = await start(call, body, thread_id, resumable=bool(body.stream_resumable))
    except BaseException:
        slot.release()
        raise
    return heard(
        call,
        run,
        events_text(channel.read()),
        slot,
        cancel=body.on_disconnect == "cancel",
        at=None if thread_id else f"/runs/{run.run_id}",
    )


def heard(
    call: Call[Any, Any],
    run: Run,
    events: AsyncGenerator[str, None],
    slot: Slot,
    *,
    cancel: bool,
    at: str | None = None,
) -> StreamReply:
    """Answer with events of a run.

    Args:
        call: Whose reader it is.
        run: Whose events they are.
        events: As text.
        slot: The room for the stream.
        cancel: The run is stopped if the reader leaves before its end.
        at: Where the run is said to be; by default on its thread.
    """
    path = path_of(run)
    return StreamReply(
        pieces=slot.stream(
            events, heartbeat=HEARTBEAT, on_gone=_leaving(call, run) if cancel else None
        ),
        headers={"Content-Location": at or path, "Location": f"{path}/stream"},
    )


async def waited(call: Call[Any, Any], body: RunBody, thread_id: str | None) -> Reply | StreamReply:
    """Create a run and answer with the values that it leaves."""
    run, channel = await start(call, body, thread_id, resumable=bool(body.stream_resumable))
    return await when_ended(call, run, channel, cancel=body.on_disconnect == "cancel")


async def when_ended(
    call: Call[Any, Any], run: Run, channel: Channel, *, cancel: bool
) -> Reply | StreamReply:
    """Answer with the values that a run leaves, once it has ended.

    What is done within a heartbeat is answered at once. After that, or if the run is to be
    cancelled when its reader leaves, the answer is a stream that shows that it is alive. A stream
    holds a thread of the HTTP server, which a request that waits does not; so where there is no
    room for a stream, it goes on waiting.
    """
    streams = call.services.streams
    path = path_of(run)
    headers = {"Content-Location": path, "Location": f"{path}/join"}
    slot = None
    while slot is None:
        if not cancel and await channel.ends_within(streams.heartbeat_s):
            text = await _left_by(call.services, run, channel.outcome, call.owner)
            return Reply(body=text, headers={**headers, "Content-Type": "application/json"})
        try:
            slot = streams.reserve(call.owner)
        except HttpError:
            cancel = False  # nobody can tell whether the reader is there
    pieces = slot.stream(
        _eventually(call, run, channel),
        heartbeat=KEEP_ALIVE,
        on_gone=_leaving(call, run) if cancel else None,
    )
    return StreamReply(pieces=pieces, media_type="application/json", headers=headers)


async def already_ended(call: Call[Any, Any], run: Run) -> Reply:
    """Answer with the values of a run's thread, or with the error that ended the run."""
    text = await _left_by(call.services, run, outcome_of(run), call.owner)
    path = path_of(run)
    headers = {"Content-Location": path, "Location": f"{path}/join"}
    return Reply(body=text, headers={**headers, "Content-Type": "application/json"})


async def _eventually(
    call: Call[Any, Any], run: Run, channel: Channel
) -> AsyncGenerator[str, None]:
    yield KEEP_ALIVE  # so that the headers are sent
    outcome = await channel.wait()
    try:
        yield await _left_by(call.services, run, outcome, call.owner)
    except HarnessError as exc:
        yield encode({"__error__": {"error": type(exc).__name__, "message": exc.public}})


async def _left_by(services: Services, run: Run, outcome: Outcome | None, owner: str) -> str:
    """Return JSON text of what a run left behind.

    Raises:
        HttpError: 503, this process ends before the run does.
    """
    if outcome is None:
        raise HttpError(503, "the server is ending; the run goes on when it is started again")
    if outcome.error is not None:
        return encode({"__error__": outcome.error})
    if outcome.values is not None:
        return encode(outcome.values)
    try:
        assistant = await services.storage.assistants.get(run.assistant_id, owner=owner)
        with owner_scope(owner):
            async with services.graphs.open(assistant.graph_id, user=_user_of(run, owner)) as graph:
                head = await head_of(graph, run)
        # If the run is still there, so was its thread, and not another one of the same id.
        await services.storage.runs.get(run.thread_id, run.run_id, owner=owner)
    except NotFound:
        return encode(None)
    return encode(head.answer)


def _user_of(run: Run, owner: str) -> User | None:
    return None if owner == ANYBODY else user_of(run, owner)


async def _take_turn(services: Services, run: Run, *, owner: str) -> None:
    """Stop what was to run on the thread before this run, if its strategy says so."""
    if run.multitask_strategy in ("interrupt", "rollback"):
        await _give_way(services, run, rollback=run.multitask_strategy == "rollback", owner=owner)


async def _give_way(services: Services, run: Run, *, rollback: bool, owner: str) -> None:
    """Stop what was to run on the thread before this run."""
    for other in await active_of(services.storage.runs, run.thread_id, owner=owner):
        if (other.created_at, other.run_id) >= (run.created_at, run.run_id):
            continue
        try:
            await services.executor.stopper.cancel(
                other, rollback=rollback, wait=False, owner=owner
            )
        except NotFound:
            continue  # it has ended by itself


def _leaving(call: Call[Any, Any], run: Run) -> Callable[[], None]:
    """Return what is done when the reader of a run leaves who wants it stopped then."""
    stopper, owner = call.services.executor.stopper, call.owner
    return lambda: stopper.abandon(run, owner=owner)
