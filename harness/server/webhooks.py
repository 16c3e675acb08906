"""Webhooks: says to an address that a run asked for how the run ended."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from harness.config import ServerConfig
from harness.errors import InvalidInput
from harness.models import Run
from harness.server.encoding import encode
from harness.server.execution.outcomes import Outcome
from harness.server.metrics import Metrics
from harness.server.routes.starting import shown
from harness.server.shares import Shares

logger = logging.getLogger("harness.server")

MAX_URL_LENGTH: Final = 2_000
_MOST_PENDING: Final = 1_000
"""Deliveries under way or waiting to be tried again; more are not begun."""
_AT_ONCE: Final = 8
_ATTEMPTS: Final = 6
_FIRST_PAUSE_S: Final = 0.5
_TIMEOUT_S: Final = 10.0
"""Of one attempt, from the connection to the last header of the answer."""
_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may go well."""


class Webhooks:
    """Delivers the ends of runs, each at least once while this process lives and knows of it.

    A delivery that fails (no connection, no answer within ten seconds, a status of 500 or more,
    408, 425 or 429) is tried up to six times, with pauses of together some 17 seconds. Redirects
    are not followed. What fails for good, or is not done when the process ends, is logged and lost.
    One owner has at most its share of the deliveries that are sent at once, and of all that are
    pending, so that receivers that are slow to answer hold up nobody else's.

    Args:
        config: Which hosts may be called, and the share of an owner.
        metrics: Counts deliveries.
        timeout_s: Within which an attempt must have been answered, in seconds.
    """

    def __init__(
        self, config: ServerConfig, metrics: Metrics, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._hosts = config.webhook_hosts
        self._counter = metrics.webhooks
        self._timeout_s = timeout_s
        self._places = Shares(_AT_ONCE, config.part_of_owner)
        self._freed = asyncio.Event()
        self._waiting = Shares(_MOST_PENDING, config.part_of_owner)
        self._pending: dict[asyncio.Task[None], str] = {}
        self._client: httpx.AsyncClient | None = None

    def check(self, url: str | None) -> None:
        """Return if a run may ask for this address, or for none.

        Raises:
            InvalidInput: It is no absolute http(s) address, or its host is not allowed.
        """
        if url is None:
            return
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as exc:
            raise InvalidInput(f"webhook: {exc}") from exc
        if parts.scheme not in ("http", "https") or not host or len(url) > MAX_URL_LENGTH:
            raise InvalidInput(
                "webhook must be an absolute http or https address of at most "
                f"{MAX_URL_LENGTH} characters"
            )
        if not url.isprintable() or " " in url:
            raise InvalidInput("webhook must be an address without spaces")
        if self._hosts is not None and host.lower() not in self._hosts:
            raise InvalidInput(f"webhook: this server calls no host {host!r:.80}")

    def run_ended(self, run: Run, outcome: Outcome) -> None:
        """Tell the address that the run asked for, if it asked for one."""
        url = run.kwargs.get("webhook")
        if not isinstance(url, str):
            return
        try:
            self.check(url)  # it may have been stored when more was allowed
        except InvalidInput as exc:
            logger.warning("run %s: %s", run.run_id, exc)
            return
        owner = str(run.metadata.get("owner"))
        if self._waiting.is_full(owner):
            why = f"{self._waiting.held_by(owner)} others of its owner are under way"
            self._note(run.run_id, "dropped", why)
            return
        self._waiting.take(owner)
        task = asyncio.create_task(self._deliver(url, run.run_id, owner, payload_of(run, outcome)))
        self._pending[task] = run.run_id
        task.add_done_callback(lambda done: self._done(done, owner))

    async def stop(self, grace_s: float) -> None:
        """Give what is under way so many seconds; then log what is lost."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=max(grace_s, 0))
        for task, run_id in list(self._pending.items()):
            task.cancel()
            self._note(run_id, "lost", "the server ends")
        await asyncio.gather(*self._pending, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _done(self, task: asyncio.Task[None], owner: str) -> None:
        self._pending.pop(task, None)
        self._waiting.give(owner)

    @asynccontextmanager
    async def _place_of(self, owner: str) -> AsyncIterator[None]:
        """Wait until the owner may send one more, and keep the place for it."""
        while self._places.is_full(owner):
            self._freed.clear()
            await self._freed.wait()
        self._places.take(owner)
        try:
            yield
        finally:
            self._places.give(owner)
            self._freed.set()

    async def _deliver(self, url: str, run_id: str, owner: str, payload: Mapping[str, Any]) -> None:
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(_ATTEMPTS),
                wait=wait_exponential(_FIRST_PAUSE_S) + wait_random(0, _FIRST_PAUSE_S),
                retry=retry_if_exception(_may_pass),
                reraise=True,
            ):
                with attempt:
                    async with self._place_of(owner), asyncio.timeout(self._timeout_s):
                        await self._post(url, payload)
        except Exception as exc:  # noqa: BLE001 -- whatever it is, it is noted under the run's name
            self._note(run_id, "failed", f"{type(exc).__name__}: {exc}")
        else:
            self._counter.labels("delivered").inc()

    async def _post(self, url: str, payload: Mapping[str, Any]) -> None:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)
        body = encode({**payload, "webhook_sent_at": datetime.now(UTC)})
        request = self._client.stream(
            "POST", url, content=body, headers={"Content-Type": "application/json"}
        )
        async with request as answer:  # its body is nobody's concern, and may be of any size
            if not answer.is_success:
                raise httpx.HTTPStatusError(
                    f"status {answer.status_code}", request=answer.request, response=answer
                )

    def _note(self, run_id: str, how: str, why: str) -> None:
        self._counter.labels(how).inc()
        logger.warning("the webhook of run %s was %s: %.500s", run_id, how, why)


def payload_of(run: Run, outcome: Outcome) -> dict[str, Any]:
    """Return what is sent: the run as the API shows it, with its end, `values` and `error`."""
    return {
        **shown(run),
        "status": outcome.status,
        "updated_at": datetime.now(UTC),
        "values": outcome.values,
        "error": outcome.error,
    }


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may go well later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in _AGAIN
    return isinstance(error, httpx.TransportError | TimeoutError) and not isinstance(
        error, httpx.UnsupportedProtocol
    )
