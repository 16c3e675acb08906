"""The process that tests fork others from: it imports what they need, and waits.

For each connection it forks one, and answers with its process id and, once it has ended, with
its status. It ends with its standard input.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from harness.config import ServerConfig, prepare_langgraph, prepare_robyn

IMPORTED: Final = (
    *("harness.cli", "harness.server.serve", "numpy", "robyn", "webbrowser"),
    *("pytest", "pytest_asyncio.plugin"),
)
_FILES: Final = 3
"""Standard input, output and error of a process."""
_REQUEST_BYTES: Final = 1 << 20


def forks(address: str) -> dict[str, Any] | None:
    """Fork until standard input ends; return, in each process, what it was asked for."""
    ended, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as ready:
        listener.bind(address)
        listener.listen()
        for file in (listener, ended, sys.stdin):
            ready.register(file, selectors.EVENT_READ)
        print("ready", flush=True)  # noqa: T201 -- tests wait for it
        while True:
            files = [key.fileobj for key, _ in ready.select()]
            if sys.stdin in files:
                return None
            if ended in files:
                ended.recv(_REQUEST_BYTES)
                _tell_ends(running)
            if listener in files:
                connection, _ = listener.accept()
                request, given = _read(connection)
                pid = os.fork()
                if not pid:
                    _become(given)
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for one in (*running.values(), connection, ended, wakeup):
                        one.close()
                    return request
                for file in given:
                    os.close(file)
                running[pid] = connection
                connection.sendall(f"{pid}\n".encode())


def _read(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    text, given, _, _ = socket.recv_fds(connection, _REQUEST_BYTES, _FILES)
    while not text.endswith(b"\n"):
        text += connection.recv(_REQUEST_BYTES)
    return json.loads(text), given


def _become(given: Sequence[int]) -> None:
    os.setsid()
    for number, file in enumerate(given):
        os.dup2(file, number)
        os.close(file)


def _tell_ends(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            with running.pop(pid) as connection, suppress(BrokenPipeError):
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def main() -> None:
    """Fork processes; in each of them, do what it is asked for."""
    address = sys.argv[1]
    prepare_langgraph(ServerConfig())
    prepare_robyn()
    for name in IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()  # or each process would spend a second on them as it begins and ends
    request = forks(address)
    if request is not None:
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        sys.argv = request["argv"]
        module, _, function = request["main"].partition(":")
        sys.exit(getattr(import_module(module), function)())


if __name__ == "__main__":
    main()
