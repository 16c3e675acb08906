"""Users of two servers who do everything that the API lets them do, in random order."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import httpx

from tests.integration.owners import token_of

ENDED = frozenset({"success", "error", "timeout", "interrupted"})
_GIVEN_UP_S = 15.0
"""After which a request is given up: its server may be stopped."""


class Observations:
    """What all users have seen.

    Attributes:
        statuses: How often each status was answered.
        wrong: Answers that nobody must get: a 5xx but 503, and what belongs to another user.
        lost: Requests that were cut off with their server.
    """

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.lost = 0
        self.marks: set[str] = set()

    def check(self, mark: str, request: str, answer: httpx.Response) -> None:
        """Record an answer to the user with this mark."""
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.wrong.append(f"{answer.status_code} for {request}: {answer.text[:500]}")
        foreign = [other for other in self.marks if other != mark and other in answer.text]
        if foreign:
            self.wrong.append(f"{mark} read {foreign} by {request}: {answer.text[:500]}")


class User:
    """One owner, whose mark stands in everything that he stores.

    Args:
        name: The owner.
        urls: The servers, which he uses in turns.
        seen: Where to record answers.
        seed: Decides what he does.
    """

    def __init__(self, name: str, urls: Sequence[str], seen: Observations, seed: str) -> None:
        self.name, self.mark = name, f"mark-of-{name}-"
        self._random = random.Random(f"{seed}/{name}")  # noqa: S311 -- reproducible, not secret
        self._urls, self._seen = urls, seen
        self._threads: list[str] = []
        self._runs: list[tuple[str, str]] = []
        seen.marks.add(self.mark)
        self._actions: list[tuple[int, Callable[[httpx.AsyncClient], Awaitable[None]]]] = [
            (6, self._converse),
            (4, self._begin_slow_run),
            (3, self._cancel),
            (3, self._delete_thread),
            (2, self._reuse_id),
            (2, self._read),
            (2, self._put_item),
            (2, self._search),
            (1, self._stateless),
            (1, self._update_state),
            (1, self._copy),
            (1, self._delete_run),
            (1, self._assistant),
        ]

    async def live(self, until: asyncio.Event) -> None:
        """Act until the event is set."""
        headers = {"Authorization": f"Bearer {token_of(self.name)}"}
        clients = [
            httpx.AsyncClient(base_url=url, headers=headers, timeout=_GIVEN_UP_S)
            for url in self._urls
        ]
        weights = [weight for weight, _ in self._actions]
        try:
            while not until.is_set():
                [(_, action)] = self._random.choices(self._actions, weights)
                try:
                    await action(self._random.choice(clients))
                except httpx.TransportError:
                    self._seen.lost += 1
                    await asyncio.sleep(self._random.uniform(0.05, 0.3))
        finally:
            for client in clients:
                await client.aclose()

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, body: Any = None
    ) -> Any:
        """Return what is answered; None where the request was refused."""
        answer = await client.request(method, path, json=body)
        self._seen.check(self.mark, f"{method} {path} {body}", answer)
        if answer.status_code >= 400 or not answer.content:
            return None
        if answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer.text

    def _some_thread(self) -> str:
        if self._threads and self._random.random() < 0.85:
            return self._random.choice(self._threads)
        thread_id = str(UUID(int=self._random.getrandbits(128), version=4))
        self._threads.append(thread_id)
        return thread_id

    def _input(self, graph: str) -> dict[str, Any]:
        if graph == "steps":
            return {"steps": self._random.randrange(1, 5), "delay_s": 0.02}
        if graph == "approval":
            return {"action": self.mark}
        said = f"{self.mark}{self._random.randrange(1000)}"
        return {"messages": [{"role": "user", "content": said}]}

    def _run(self, graph: str, **more: Any) -> dict[str, Any]:
        return {
            "assistant_id": graph,
            "input": self._input(graph),
            "if_not_exists": "create",
            "metadata": {"mark": self.mark},
            "multitask_strategy": self._random.choice(
                ["enqueue", "reject", "interrupt", "rollback"]
            ),
            "durability": self._random.choice(["sync", "async", "exit"]),
            **more,
        }

    async def _converse(self, client: httpx.AsyncClient) -> None:
        graph = self._random.choice(["agent", "memory", "approval", "steps", "nested"])
        kind = self._random.choice(["wait", "stream"])
        await self._send(
            client, "POST", f"/threads/{self._some_thread()}/runs/{kind}", self._run(graph)
        )

    async def _begin_slow_run(self, client: httpx.AsyncClient) -> None:
        thread_id = self._some_thread()
        slow = {"steps": 30, "delay_s": 0.05}
        run = await self._send(
            client, "POST", f"/threads/{thread_id}/runs", self._run("steps", input=slow)
        )
        if run is not None:
            self._runs.append((thread_id, run["run_id"]))

    async def _cancel(self, client: httpx.AsyncClient) -> None:
        if self._runs:
            thread_id, run_id = self._runs.pop(self._random.randrange(len(self._runs)))
            wait = self._random.choice(["true", "false"])
            action = self._random.choice(["interrupt", "rollback"])
            path = f"/threads/{thread_id}/runs/{run_id}/cancel?wait={wait}&action={action}"
            await self._send(client, "POST", path)

    async def _delete_thread(self, client: httpx.AsyncClient) -> None:
        await self._send(client, "DELETE", f"/threads/{self._some_thread()}")

    async def _reuse_id(self, client: httpx.AsyncClient) -> None:
        """Delete a thread while a run may be executed on it, and begin anew under its id."""
        thread_id = self._some_thread()
        await self._send(client, "DELETE", f"/threads/{thread_id}")
        made = await self._send(
            client, "POST", "/threads", {"thread_id": thread_id, "metadata": {"mark": self.mark}}
        )
        if made is not None:
            state = await self._send(client, "GET", f"/threads/{thread_id}/state")
            if state is not None and state["values"]:
                self._seen.wrong.append(f"a new thread {thread_id} has a state: {state['values']}")

    async def _read(self, client: httpx.AsyncClient) -> None:
        thread_id = self._some_thread()
        for path in ("", "/state", "/history", "/runs"):
            await self._send(client, "GET", f"/threads/{thread_id}{path}")

    async def _put_item(self, client: httpx.AsyncClient) -> None:
        item = {
            "namespace": ["notes", "shared"],
            "key": f"k{self._random.randrange(5)}",
            "value": {"mark": self.mark},
            "ttl": self._random.choice([None, 0.01, 60]),
        }
        await self._send(client, "PUT", "/store/items", item)

    async def _search(self, client: httpx.AsyncClient) -> None:
        await self._send(client, "POST", "/store/items/search", {"namespace_prefix": ["notes"]})
        await self._send(client, "POST", "/threads/search", {"limit": 100})
        await self._send(client, "POST", "/assistants/search", {"limit": 100})

    async def _stateless(self, client: httpx.AsyncClient) -> None:
        graph = self._random.choice(["agent", "steps"])
        kind = self._random.choice(["wait", "stream"])
        run = {"assistant_id": graph, "input": self._input(graph)}
        await self._send(client, "POST", f"/runs/{kind}", run)

    async def _update_state(self, client: httpx.AsyncClient) -> None:
        body = {"values": {"messages": [{"role": "user", "content": self.mark}]}}
        await self._send(client, "POST", f"/threads/{self._some_thread()}/state", body)

    async def _copy(self, client: httpx.AsyncClient) -> None:
        copied = await self._send(client, "POST", f"/threads/{self._some_thread()}/copy")
        if copied is not None:
            self._threads.append(copied["thread_id"])

    async def _delete_run(self, client: httpx.AsyncClient) -> None:
        if self._runs:
            thread_id, run_id = self._runs.pop()
            await self._send(client, "DELETE", f"/threads/{thread_id}/runs/{run_id}")

    async def _assistant(self, client: httpx.AsyncClient) -> None:
        made = await self._send(
            client, "POST", "/assistants", {"graph_id": "agent", "metadata": {"mark": self.mark}}
        )
        if made is not None:
            path = f"/assistants/{made['assistant_id']}"
            await self._send(client, "PATCH", path, {"metadata": {"more": self.mark}})
            await self._send(client, "DELETE", path)
