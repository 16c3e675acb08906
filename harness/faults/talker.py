"""A conversation with a process that can be killed, terminated and started again."""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import orjson

from harness.config import without_pytest
from harness.errors import HarnessError
from harness.models import Json

_LINE_LIMIT_BYTES: Final = 2**24
_LAST_WORDS: Final = 20
"""Lines of what the process said to stderr that are kept."""
_NOTHING: Final = object()

OnEvent = Callable[[str, Any], None]
"""Told of each `updates` and `values` of a run, in LangGraph's words for the mode and the part."""


class TalkerEnded(HarnessError, ConnectionError):
    """The process ended before it answered."""


class TalkerFailed(HarnessError, RuntimeError):
    """What the process was asked for raised there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        """The name of the error's class."""


class TalkerSilent(HarnessError, TimeoutError):
    """The process did not answer in time."""


class Talker:
    """Our graphs in a process of their own, which is started, asked, killed and started again.

    ```python
    async with Talker(url) as talker:
        await talker.say("My name is Alice", thread_id="t", owner="alice")
        await talker.kill()
        await talker.start()
        await talker.say("What's my name?", thread_id="t", owner="alice")
    ```

    Any number of calls may be under way at once. Those that are when the process ends raise
    `TalkerEnded`. The model is the deterministic one, whatever the environment says.

    Args:
        url: The database that it stores in, which it migrates; None: in memory.
        within_s: Seconds for each start, answer and end.
    """

    def __init__(self, url: str | None, *, within_s: float = 120.0) -> None:
        self._url = url
        self._within_s = within_s
        self._process: asyncio.subprocess.Process | None = None
        self._reading: list[asyncio.Task[None]] = []
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Queue[Json]] = {}
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)

    @property
    def pid(self) -> int | None:
        """The id of the running process; None when there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start a new process and wait until it is ready; does nothing when one runs.

        Raises:
            TalkerEnded: It ended, or stores elsewhere than it was told to; the message says why.
            TalkerSilent: It was not ready in time.
        """
        if self.pid is not None:
            return
        await self._collect()
        self._last_words.clear()
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "harness.faults.talk"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**without_pytest(), **self._settings()},
            limit=_LINE_LIMIT_BYTES,
            start_new_session=True,  # Ctrl-C in the terminal is for the parent
        )
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        assert process.stderr is not None  # noqa: S101 -- likewise
        ready: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._reading = [
            asyncio.create_task(self._hear(process.stdout, ready)),
            asyncio.create_task(self._overhear(process.stderr)),
        ]
        try:
            async with asyncio.timeout(self._within_s):
                await ready
        except BaseException as exc:
            await self.kill()
            if isinstance(exc, TimeoutError):
                raise TalkerSilent(f"not ready after {self._within_s:g} s{self._why()}") from exc
            if isinstance(exc, TalkerEnded):
                raise TalkerEnded(f"the process ended before it was ready{self._why()}") from exc
            raise

    async def say(self, text: str, *, thread_id: str, owner: str, graph: str = "agent") -> str:
        """Say something in a conversation and return the answer; raises as `run`."""
        message = {"role": "user", "content": text}
        values = await self.run(graph, thread_id, {"messages": [message]}, owner=owner)
        answer: str = values["messages"][-1]["text"]
        return answer

    async def run(
        self,
        graph: str,
        thread_id: str,
        given: Json | None = None,
        *,
        owner: str,
        resume: object = _NOTHING,
        durability: str | None = None,
        on_event: OnEvent | None = None,
    ) -> Json:
        """Run a graph on a thread and return its values, `__interrupt__` among them if it asks.

        Args:
            graph: A name of `harness.agents.GRAPHS`.
            thread_id: The thread.
            given: The input; None: go on where the thread stopped.
            owner: Who owns what is stored; it is the `user_id` too.
            resume: The answer to an interrupt, in place of an input.
            durability: LangGraph's; by default `async`.
            on_event: Told of each superstep as it happens.

        Raises:
            TalkerFailed: The run raised.
            TalkerEnded: The process ended first, or was not running.
            TalkerSilent: The run took too long; it goes on.
        """
        more = {} if resume is _NOTHING else {"resume": resume}
        result: Json = await self._ask(
            {
                "call": "run",
                "graph": graph,
                "thread_id": thread_id,
                "owner": owner,
                "input": given,
                "durability": durability,
                **more,
            },
            on_event,
        )
        return result

    async def state(self, graph: str, thread_id: str, *, owner: str) -> Json:
        """Return what a thread holds (`harness.faults.plain.snapshot`); raises as `run`."""
        request = {"call": "state", "graph": graph, "thread_id": thread_id, "owner": owner}
        found: Json = await self._ask(request)
        return found

    async def history(self, graph: str, thread_id: str, *, owner: str) -> list[Json]:
        """Return what a thread held at each checkpoint, newest first; raises as `run`."""
        request = {"call": "history", "graph": graph, "thread_id": thread_id, "owner": owner}
        found: list[Json] = await self._ask(request)
        return found

    async def kill(self) -> None:
        """End the process by SIGKILL, wherever it is, and wait until it is gone."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """Ask the process to end by SIGTERM; return its exit status, 0 if it ended as it should.

        Raises:
            TalkerSilent: It went on; it has been killed.
        """
        return await self._end(signal.SIGTERM)

    async def close(self) -> None:
        """Let the process end by closing its input; safe to call twice."""
        await self._end(None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _settings(self) -> Mapping[str, str]:
        """Store there, or say so: a process that fell back to memory would prove nothing."""
        there = {"DATABASE_URL": self._url or "", "HARNESS_MODEL": ""}
        return {**there, "DATABASE_REQUIRED": "false" if self._url is None else "true"}

    async def _ask(self, request: Json, on_event: OnEvent | None = None) -> Any:
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            raise TalkerEnded("the process is not running; start it first")
        number = next(self._numbers)
        answers = self._waiting[number] = asyncio.Queue()
        line = {"id": number, "user_id": request["owner"], **request}
        try:
            async with asyncio.timeout(self._within_s):
                with suppress(ConnectionError):  # its end is told by what is read from it
                    process.stdin.write(orjson.dumps(line) + b"\n")
                    await process.stdin.drain()
                while True:
                    told = await answers.get()
                    if "result" in told:
                        return told["result"]
                    if "error" in told:
                        raise TalkerFailed(told["error"]["type"], told["error"]["message"])
                    if "ended" in told:
                        raise TalkerEnded
                    if on_event is not None:
                        on_event(*told["event"])
        except TimeoutError as exc:
            raise TalkerSilent(
                f"no end of {request['call']} after {self._within_s:g} s{self._why()}"
            ) from exc
        finally:
            del self._waiting[number]

    async def _hear(self, lines: asyncio.StreamReader, ready: asyncio.Future[Json]) -> None:
        """Hand each line to who waits for it; at the end, tell everybody."""
        async for line in lines:
            try:
                told: Json = orjson.loads(line)
            except orjson.JSONDecodeError:
                break  # the process was killed within a line
            if "ready" in told:
                ready.set_result(told)
            elif told["id"] in self._waiting:
                self._waiting[told["id"]].put_nowait(told)
        for answers in self._waiting.values():
            answers.put_nowait({"ended": True})
        if not ready.done():
            ready.set_exception(TalkerEnded())

    async def _overhear(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self._last_words.append(line.decode(errors="replace").rstrip())

    async def _end(self, by: signal.Signals | None) -> int:
        process = self._process
        if process is None:
            return 0
        try:
            async with asyncio.timeout(self._within_s):
                if by is not None:
                    with suppress(ProcessLookupError):
                        process.send_signal(by)
                elif process.stdin is not None:
                    process.stdin.close()
                code = await process.wait()
        except TimeoutError as exc:
            with suppress(ProcessLookupError):
                process.kill()
            raise TalkerSilent(f"not ended after {self._within_s:g} s{self._why()}") from exc
        finally:
            await asyncio.shield(self._collect())
        return code

    async def _collect(self) -> None:
        """Read what an ended process left, and let go of it."""
        process, self._process = self._process, None
        if process is None:
            return
        await process.wait()
        reading, self._reading = self._reading, []
        await asyncio.gather(*reading)

    def _why(self) -> str:
        said = "\n".join(self._last_words)
        return f"; it said:\n{said}" if said else ""
