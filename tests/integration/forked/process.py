"""Servers and commands forked from a process that has imported all they need.

One that is started as users start it imports for seconds, and hundreds of them would make most of
what the suite takes. One that is forked takes a tenth of a second, and is a process of its own all
the same: it has a session, an environment and files of its own, calls the command's own `main`, and
is ended or killed alike.
"""

import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from harness.config import without_pytest

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


async def run(
    main: str,
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path = ROOT,
) -> Ended:
    """Run a command to its end, forked; the arguments are those of `Forked.start`."""
    with tempfile.TemporaryFile() as log:
        process = await Forked.start(main, arguments, env, log.fileno(), cwd=cwd)
        out = await process.stdout.read()
        code = await process.wait()
        log.seek(0)
        return Ended(code, out.decode(), log.read().decode())


class Forked:
    """A forked process; it has of `asyncio.subprocess.Process` what `Served` uses."""

    def __init__(
        self,
        pid: int,
        stdin: int,
        stdout: asyncio.StreamReader,
        answers: asyncio.StreamReader,
        held: ExitStack,
    ) -> None:
        self.pid, self.stdout, self._stdin = pid, stdout, stdin
        self.returncode: int | None = None
        self._ended = asyncio.create_task(self._end(answers, held))

    @classmethod
    async def start(
        cls,
        main: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: int,
        *,
        cwd: Path = ROOT,
    ) -> Self:
        """Fork a process.

        Args:
            main: What it calls, as `module:function`.
            arguments: Of the command line.
            env: Its environment.
            log: The file that its errors go to.
            cwd: The folder that it works in.
        """
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(await asyncio.to_thread(_address))
        (stdin, held), (said, stdout) = os.pipe(), os.pipe()
        argv = ["harness", *arguments]
        request = json.dumps({"main": main, "argv": argv, "env": dict(env), "cwd": str(cwd)})
        socket.send_fds(connection, [request.encode() + b"\n"], [stdin, stdout, log])
        os.close(stdin)
        os.close(stdout)
        answers, writer = await asyncio.open_connection(sock=connection)
        output = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(said, "rb")
        )
        stack = ExitStack()
        stack.callback(writer.close)
        stack.callback(transport.close)
        stack.callback(os.close, held)  # a server ends when nobody holds its standard input
        return cls(int(await answers.readline()), held, output, answers, stack)

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        os.write(self._stdin, f"{line}\n".encode())

    async def wait(self) -> int:
        """Wait until it has ended; return its status, negative if it was a signal's."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and its status is on the way
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    async def _end(self, answers: asyncio.StreamReader, held: ExitStack) -> int:
        with held:
            self.returncode = int(await answers.readline())
        return self.returncode


@cache
def _address() -> str:
    """Start the process that forks, once; return its socket."""
    folder = tempfile.mkdtemp(prefix="harness_forks_")
    atexit.register(shutil.rmtree, folder)
    address = f"{folder}/socket"
    process = subprocess.Popen(  # noqa: S603 -- our own module
        [sys.executable, "-m", "tests.integration.forked.parent", address],
        cwd=ROOT,
        env=without_pytest(),
        stdin=subprocess.PIPE,  # it ends when this process no longer holds it
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    atexit.register(process.wait)
    atexit.register(process.stdin.close)
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    return address
