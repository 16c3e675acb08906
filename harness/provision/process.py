"""Run a server's processes: start them under the supervisor, watch, signal and await them."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.errors import ProvisionError
from harness.provision.account import CHILD_ENVIRONMENT, Account
from harness.provision.binaries import Binaries
from harness.provision.cluster import explain, server_command
from harness.provision.server import StopMode

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_START_TIMEOUT_S = 120.0
"""Recovery after a crash can take long; an ordinary start takes hundredths of a second."""
_STOP_TIMEOUT_S = 60.0
_SETTLE_TIMEOUT_S = 10.0
_POLL_S = 0.005

_PORTS = range(15_000, 30_000)
"""Below the ports that systems give to outgoing connections (Linux from 32768, macOS 49152): while
the server is down for a restart, no client can be handed its port."""


class PortTaken(ProvisionError):
    """Another process listens on the port."""


class _StillDying(ProvisionError):
    """Processes of the previous run hold the data directory."""


def candidate_ports(tries: int = 20) -> Iterator[int]:
    """Give random ports nobody listens on; somebody may still be faster, so try the next one."""
    for port in random.sample(_PORTS, tries * 10):
        if port_is_free(port):
            yield port
            tries -= 1
        if not tries:
            return


def port_is_free(port: int) -> bool:
    """Whether one can listen on the port now, as PostgreSQL does."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pid_file(data: Path) -> list[str]:
    """The lines of `postmaster.pid`; none if there is no such file."""
    try:
        text = (data / "postmaster.pid").read_text()
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines()]


def postmaster_of(data: Path) -> psutil.Process | None:
    """The living postmaster that `postmaster.pid` names, unless the id is another program's now."""
    lines = pid_file(data)
    if not lines or not lines[0].isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
        command = process.cmdline()
    except psutil.Error:
        return None
    is_ours = str(data) in command and Path(command[0]).name == "postgres"
    return process if is_ours else None


def end_detached(data: Path) -> None:
    """Ask the server that runs on the data directory to end, whoever started it."""
    postmaster = postmaster_of(data)
    if postmaster is None:
        return
    with suppress(psutil.NoSuchProcess):
        family = [postmaster, *postmaster.children(recursive=True)]
        postmaster.send_signal(_SIGNALS["fast"])
        for process in family:  # one that was frozen does not hear the signal
            with suppress(psutil.NoSuchProcess):
                process.resume()


@dataclass(kw_only=True)
class ServerProcess:
    """The processes of one server on one data directory."""

    binaries: Binaries
    account: Account | None
    data: Path
    log: Path
    lock: int
    """Descriptor that every process of the server inherits; a held lock says that one is alive."""
    delete: list[Path] = field(default_factory=list)
    """Folders that go when the harness dies without having stopped the server."""
    detached: bool = False
    """Whether the server outlives this process."""
    _supervisor: subprocess.Popen[str] | None = field(default=None, init=False)
    _postmaster: psutil.Process | None = field(default=None, init=False)

    def start(self, port: int) -> None:
        """Start on the port and wait until connections are accepted.

        Raises:
            PortTaken: Somebody else listens there.
            ProvisionError: It did not start; the message says why.
        """
        give_up = time.monotonic() + _SETTLE_TIMEOUT_S
        while True:
            try:
                return self._start(port)
            except _StillDying:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    def is_running(self) -> bool:
        """Whether the postmaster is alive."""
        postmaster = self._postmaster
        return (
            postmaster is not None
            and postmaster.is_running()
            and postmaster.status() != psutil.STATUS_ZOMBIE
        )

    def tree(self) -> list[psutil.Process]:
        """The postmaster and all its descendants; empty when it does not run."""
        if self._postmaster is None or not self.is_running():
            return []
        try:
            return [self._postmaster, *self._postmaster.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self, mode: StopMode) -> None:
        """Ask the postmaster to end; after a minute, end it by force."""
        tree = self.tree()
        if tree:
            with suppress(psutil.NoSuchProcess):
                tree[0].send_signal(_SIGNALS[mode])
            for process in tree:  # one that was frozen does not hear the signal
                with suppress(psutil.NoSuchProcess):
                    process.resume()
            _, alive = psutil.wait_procs(tree[:1], timeout=_STOP_TIMEOUT_S)
            if alive:
                self.kill()
        self._await_supervisor()

    def kill(self) -> None:
        """SIGKILL the postmaster and all its children, and wait until they are gone."""
        if self._postmaster is not None and self.is_running():
            with suppress(psutil.NoSuchProcess):
                self._postmaster.suspend()  # so that it starts no more children meanwhile
        tree = self.tree()
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._await_supervisor()
        psutil.wait_procs(tree, timeout=_SETTLE_TIMEOUT_S)

    def log_since(self, offset: int) -> str:
        """What the server has logged after its first `offset` bytes."""
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _start(self, port: int) -> None:
        environment = CHILD_ENVIRONMENT | self._settle()
        self.log.touch(mode=0o600)
        offset = self.log.stat().st_size
        order = {
            "command": server_command(self.binaries, self.data, port),
            "environment": environment,
            "uid": self.account.uid if self.account else None,
            "gid": self.account.gid if self.account else None,
            "log": str(self.log),
            "lock": self.lock,
            "parent": os.getpid(),
            "delete": [str(folder) for folder in self.delete],
            "detached": self.detached,
        }
        self._supervisor = subprocess.Popen(  # noqa: S603 # our own script and interpreter
            [sys.executable, "-I", "-S", str(_SUPERVISOR), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self.lock],
            start_new_session=True,  # Ctrl-C in the terminal is for the harness, not for the server
            text=True,
        )
        try:
            self._await_ready(offset)
        except BaseException:
            self.kill()
            raise
        if self.detached:
            self._await_supervisor()

    def _await_ready(self, offset: int) -> None:
        if self._supervisor is None or self._supervisor.stdout is None:
            raise ProvisionError("the server's supervisor is gone")
        kind, _, rest = self._supervisor.stdout.readline().strip().partition(" ")
        if kind != "pid":
            raise ProvisionError(f"PostgreSQL cannot be executed: {rest or 'no reason given'}")
        with suppress(psutil.NoSuchProcess):
            self._postmaster = psutil.Process(int(rest))
        give_up = time.monotonic() + _START_TIMEOUT_S
        while not self._says_ready(rest):
            if not self.is_running():
                self._fail(self.log_since(offset))
            if time.monotonic() > give_up:
                raise ProvisionError(
                    f"PostgreSQL was not ready after {_START_TIMEOUT_S:g} seconds\n"
                    + explain(self.log_since(offset), self.data.parent)
                )
            time.sleep(_POLL_S)

    def _says_ready(self, pid: str) -> bool:
        """Whether `postmaster.pid` is of this run and its last line says ready, as for pg_ctl."""
        lines = pid_file(self.data)
        return len(lines) >= 8 and lines[0] == pid and lines[7] == "ready"

    def _fail(self, log: str) -> None:
        if "Address already in use" in log:
            raise PortTaken
        message = explain(log, self.data.parent)
        if "pre-existing shared memory block" in log or 'postmaster.pid" already exists' in log:
            raise _StillDying(message)
        raise ProvisionError(message)

    def _settle(self) -> dict[str, str]:
        """Deal with the `postmaster.pid` of a server that was killed; never by removing it.

        While the old postmaster lives this waits. When its id has passed to another program,
        PostgreSQL would take that for the old postmaster and refuse to start; it passes over the
        id in PG_GRANDPARENT_PID (`CreateLockFile` in miscinit.c), and goes on to check that
        nobody uses the old shared memory before it removes the file itself.
        """
        old = postmaster_of(self.data)
        if old is not None:
            try:
                old.wait(timeout=_SETTLE_TIMEOUT_S)
            except psutil.TimeoutExpired as exc:
                raise ProvisionError(
                    f"process {old.pid} already runs a server in {self.data}; stop it first"
                ) from exc
        lines = pid_file(self.data)
        return {"PG_GRANDPARENT_PID": lines[0]} if lines else {}

    def _await_supervisor(self) -> None:
        """Wait until the supervisor has reaped the last process of the server."""
        supervisor, self._supervisor, self._postmaster = self._supervisor, None, None
        if supervisor is None:
            return
        with supervisor:  # closes its pipes, which ends what is left, and waits
            try:
                supervisor.wait(timeout=_SETTLE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                supervisor.terminate()
