"""Holds a call to the rows that a handler's filter leaves."""

from dataclasses import replace
from typing import Any

from harness.errors import Conflict, Forbidden, NotFound
from harness.server.access.filters import Filter, matches, within
from harness.server.access.table import Access
from harness.server.access.values import AnyCall, thread_named, with_part
from harness.server.http import Reply
from harness.storage.checks import MAX_LIMIT, check_id


async def restricted(call: AnyCall, access: Access, wanted: Filter) -> AnyCall | Reply:
    """Return a call that touches only rows whose metadata match, or the answer if there are none.

    Raises:
        NotFound: The row that the call is about does not match.
        Conflict: A row is to be made that is there, and does not match.
        Forbidden: Items have no metadata that could match; or threads would be deleted that do not.
    """
    if access.rows == "found":
        metadata = within(call.body.metadata, wanted)
        if metadata is None:
            return Reply(body=access.nothing, headers=_of_no_page(access.nothing))
        return with_part(call, {"metadata": metadata})
    held = _Held(call, wanted)
    if access.rows == "threads":
        return await held.threads()
    checks = {
        "thread": lambda: held.thread(thread_named(call)),
        "any": lambda: held.thread(call.body.thread_id),
        "assistant": held.assistant,
        "cron": held.cron,
        "new": lambda: held.new(access.resource),
        "item": held.item,
        "all_of_assistant": held.all_of_assistant,
    }
    await checks[access.rows]()
    return replace(call, filter=wanted)


async def leaves(call: AnyCall, thread_id: str) -> bool:
    """Whether the caller's filter, if there is any, leaves a thread."""
    if call.filter is None:
        return True
    thread = await call.services.storage.threads.get(thread_id, owner=call.owner)
    return matches(thread.metadata, call.filter)


class _Held:
    def __init__(self, call: AnyCall, wanted: Filter) -> None:
        self._call, self._wanted = call, wanted
        self._storage, self._owner = call.services.storage, call.owner

    async def thread(self, thread_id: str | None) -> None:
        if thread_id is None:
            return  # of a run whose thread is still to be made
        try:
            thread = await self._storage.threads.get(thread_id, owner=self._owner)
        except NotFound:
            if getattr(self._call.body, "if_not_exists", None) == "create":
                return
            raise
        if not matches(thread.metadata, self._wanted):
            raise NotFound.of("thread", thread.thread_id)

    async def assistant(self) -> None:
        named = self._call.services.graphs.assistant_id(self._call.path["assistant_id"])
        assistant = await self._storage.assistants.get(named, owner=self._owner)
        if not matches(assistant.metadata, self._wanted):
            raise NotFound.of("assistant", assistant.assistant_id)

    async def cron(self) -> None:
        cron = await self._storage.crons.get(self._call.path["cron_id"], owner=self._owner)
        if not matches(cron.metadata, self._wanted):
            raise NotFound.of("cron", cron.cron_id)

    async def new(self, resource: str) -> None:
        """Refuse to answer with a row that is there already, and is not to be seen."""
        body: Any = self._call.body
        if getattr(body, "if_exists", None) != "do_nothing":
            return
        row: Any
        try:
            if resource == "threads":
                row = await self._storage.threads.get(body.thread_id, owner=self._owner)
            else:
                row = await self._storage.assistants.get(body.assistant_id, owner=self._owner)
        except NotFound:
            return
        if not matches(row.metadata, self._wanted):
            raise Conflict("the id is taken")

    async def item(self) -> None:
        if not matches({"owner": self._owner}, self._wanted):
            raise Forbidden(
                "items have no metadata for a filter but their owner: have the handler of the "
                "store change value['namespace'] instead"
            )

    async def threads(self) -> AnyCall:
        asked = list(self._call.body.thread_ids)
        found: list[str] = []
        metadata = within(None, self._wanted)
        for n in range(0, len(asked), MAX_LIMIT):
            page = await self._storage.threads.search(
                ids=asked[n : n + MAX_LIMIT],
                metadata=metadata,
                limit=MAX_LIMIT,
                owner=self._owner,
            )
            found += [thread.thread_id for thread in page]
        return with_part(self._call, {"thread_ids": found})

    async def all_of_assistant(self) -> None:
        named = self._call.services.graphs.assistant_id(self._call.path["assistant_id"])
        its = {"assistant_id": check_id(named, "assistant"), "owner": self._owner}
        threads = self._storage.threads
        metadata = within(its, self._wanted)
        left = 0
        if metadata is not None:
            left = await threads.count(metadata=metadata, owner=self._owner)
        if left < await threads.count(metadata=its, owner=self._owner):
            raise Forbidden("some threads of the assistant are not the caller's to delete")


def _of_no_page(nothing: Any) -> dict[str, str]:
    return {"X-Pagination-Total": "0"} if nothing == [] else {}
