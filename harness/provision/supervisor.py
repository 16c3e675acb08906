"""Stand between the harness and a server, and end the server when the harness ends in any way.

This file is run as a script, by path, with the standard library alone. It starts the server's
first process and waits for three things: that all of the server's processes are gone, that its
standard input is closed, or that its parent has changed. The last two mean that the harness is
dead, be it by SIGKILL; then the server is stopped at once and its folders are deleted.

A process of its own does this because the kernel's `PR_SET_PDEATHSIG` fires when the *thread* that
started the child ends. This process has one thread, so here the flag is safe to use: it ends the
server if this process is itself killed. It is also the reaper of orphaned grandchildren, so that
a killed server leaves no zombies where nobody else would collect them.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 5.0
_LOOK_MS = 500


def main(order: dict[str, Any]) -> int:
    """Start the server that the order describes, say its process id, and see it through."""
    wake, waker = os.pipe()
    for end in (wake, waker):
        os.set_blocking(end, False)
    told_to_end: list[int] = []
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: told_to_end.append(number))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        server = _spawn(order)
    except OSError as exc:
        _say(f"error {exc}")
        return 1
    _say(f"pid {server}")
    if order["detached"]:
        return 0
    return _watch(order, server, wake, told_to_end)


def _spawn(order: dict[str, Any]) -> int:
    """Start the server's first process; return its id."""
    # In a process of one thread preexec_fn is safe.
    prepare = None if order["detached"] else partial(_die_with, os.getpid())
    with Path(order["log"]).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 # the harness built the command
            order["command"],
            env=order["environment"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[order["lock"]],
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 # one thread, see above
            user=order["uid"],
            group=order["gid"],
            extra_groups=None if order["uid"] is None else [],
        ).pid


def _watch(order: dict[str, Any], server: int, wake: int, told_to_end: list[int]) -> int:
    """Wait until all processes are gone; end them once the harness is."""
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(wake, select.POLLIN)
    code: int | None = None
    orphaned_at: float | None = None
    while True:
        if any(_hears_end(poll, descriptor) for descriptor, _ in poll.poll(_LOOK_MS)):
            told_to_end.append(0)
        ended, codes = _reap()
        code = codes.get(server, code)
        if ended:
            break
        if told_to_end or os.getppid() != order["parent"]:
            orphaned_at = orphaned_at or time.monotonic()
            _end(server if code is None else None, time.monotonic() - orphaned_at)
    if orphaned_at is not None:
        for folder in order["delete"]:
            shutil.rmtree(folder, ignore_errors=True)
    return code or 0


def _hears_end(poll: "select.poll", descriptor: int) -> bool:
    """Read what woke us; tell whether it was the end of our standard input."""
    if os.read(descriptor, 4096) or descriptor != 0:
        return False
    poll.unregister(0)
    return True


def _end(server: int | None, waited_s: float) -> None:
    """Stop the server, if it still lives; after some seconds kill all that is left."""
    if waited_s > _PATIENCE_S:
        asking, following = signal.SIGKILL, signal.SIGKILL
    else:
        asking, following = signal.SIGQUIT, signal.SIGCONT  # a frozen process hears no SIGQUIT
    if server is not None:
        _signal(server, asking)
    _signal_descendants(following)


def _reap() -> tuple[bool, dict[int, int]]:
    """Collect ended processes; tell whether none is left, and their exit codes by id."""
    codes: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True, codes
        if pid == 0:
            return False, codes
        codes[pid] = 1 if status else 0


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_descendants(number: int) -> None:
    """Signal all descendants, where /proc lists them; elsewhere the server sees to its own."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # gone meanwhile
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    family = {os.getpid()}
    for _ in parents:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    for pid in family - {os.getpid()}:
        _signal(pid, number)


def _die_with(supervisor: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
    if os.getppid() != supervisor:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    os._exit(main(json.loads(sys.argv[1])))
