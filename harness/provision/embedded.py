"""A PostgreSQL of our own: programs from the wheel, run as a child, gone with the harness."""

import atexit
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from harness.errors import ProvisionError
from harness.provision.account import server_account
from harness.provision.binaries import find_binaries
from harness.provision.cluster import (
    BASE_SETTINGS,
    EPHEMERAL_SETTINGS,
    create_cluster,
    server_url,
    socket_folder,
)
from harness.provision.folders import (
    ServerFolder,
    disk_base,
    location_of,
    make_folder,
    memory_base,
)
from harness.provision.process import PortTaken, ServerProcess, candidate_ports
from harness.provision.server import PostgresServer, ServerFacts, StopMode, ask

Storage = Literal["tmpfs", "disk"]
"""`tmpfs`: memory if it has 1 GiB free, else a disk, both with fsync off. `disk`: fsync on."""


class EmbeddedServer(PostgresServer):
    """A server that lives as long as this process, however the process ends.

    It listens on 127.0.0.1 under a random password and on a socket that only its own user and
    root can reach. `stop` keeps the data for the next `start`; `close` removes them.

    Args:
        storage: What the data are for: tests (`tmpfs`) or measurements (`disk`).
        settings: PostgreSQL settings that come before our own.
        folder: Where to make the server's folder; by default as `storage` says.
        ports: Ports to try, in order; by default free ones at random.
    """

    provisioner = "embedded"

    def __init__(
        self,
        *,
        storage: Storage = "tmpfs",
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
        ports: Iterable[int] | None = None,
    ) -> None:
        self._settings = {
            **BASE_SETTINGS,
            **(EPHEMERAL_SETTINGS if storage == "tmpfs" else {}),
            **(settings or {}),
        }
        self._base = folder or (memory_base() if storage == "tmpfs" else None) or disk_base()
        self._ports = ports
        self._port: int | None = None
        self._password = secrets.token_urlsafe(24)
        self._folder: ServerFolder | None = None
        self._process: ServerProcess | None = None
        self._facts: ServerFacts | None = None
        self._mutex = threading.RLock()
        self._creator = os.getpid()

    @property
    def url(self) -> str:
        """Address of the maintenance database, on 127.0.0.1."""
        if self._port is None:
            raise ProvisionError("the embedded server has not been started")
        return server_url(self._port, self._password)

    @property
    def facts(self) -> ServerFacts:
        """What the server said of itself when it was last started."""
        if self._facts is None:
            raise ProvisionError("the embedded server has not been started")
        return self._facts

    @property
    def location(self) -> str:
        """The kind of file system that holds the data: "tmpfs" or "ext4 disk"."""
        return location_of(self._base)

    @property
    def socket_directory(self) -> Path | None:
        """Folder of the Unix socket; None where its path would be too long."""
        return socket_folder(self._folder.path) if self._folder else None

    @property
    def data_directory(self) -> Path:
        """PostgreSQL's data directory."""
        if self._folder is None:
            raise ProvisionError("the embedded server has not been started")
        return self._folder.data

    def start(self) -> None:
        """Make the data directory if there is none, start, and wait for readiness."""
        with self._mutex:
            first = self._process is None
            try:
                process = self._process or self._create()
                if not process.is_running():
                    process.stop("immediate")  # collects what is left of a run that died
                    self._listen(process)
                    self._facts = ask(self.url)
            except BaseException:
                if first:
                    self.close()
                raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop and keep the data."""
        with self._mutex:
            if self._process is not None:
                self._process.stop(mode)

    def kill(self) -> None:
        """SIGKILL all processes of the server at once, and wait until they are gone."""
        with self._mutex:
            if self._process is not None:
                self._process.kill()

    def pids(self) -> list[int]:
        """The postmaster's id and those of all its children; empty when stopped."""
        return [process.pid for process in self._process.tree()] if self._process else []

    def close(self) -> None:
        """Stop and remove the folder."""
        with self._mutex:
            atexit.unregister(self._close_at_exit)
            process, self._process = self._process, None
            folder, self._folder = self._folder, None
            if process is not None:
                process.stop("fast")
            if folder is not None:
                folder.remove()

    def _create(self) -> ServerProcess:
        account = server_account()
        binaries = find_binaries(account)
        folder = make_folder(self._base, account)
        self._folder = folder
        atexit.register(self._close_at_exit)
        create_cluster(
            binaries, account, folder.data, password=self._password, settings=self._settings
        )
        self._process = ServerProcess(
            binaries=binaries,
            account=account,
            data=folder.data,
            log=folder.log,
            lock=folder.lock,
            delete=[folder.path],
        )
        return self._process

    def _listen(self, process: ServerProcess) -> None:
        """Start on the port that the URL names already, or on the first that is free."""
        if self._port is not None:
            ports: Iterable[int] = [self._port]
        else:
            ports = candidate_ports() if self._ports is None else self._ports
        tried = []
        for port in ports:
            try:
                process.start(port)
            except PortTaken:
                tried.append(str(port))
            else:
                self._port = port
                return
        raise ProvisionError(
            f"no port is free for PostgreSQL (tried {', '.join(tried)}); stop what listens there"
        )

    def _close_at_exit(self) -> None:
        if os.getpid() == self._creator:  # a fork inherits the hook, but not the server
            self.close()
