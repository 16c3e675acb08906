"""A PostgreSQL in a container, through testcontainers."""

import atexit
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import docker
import docker.errors
import docker.utils
import psutil
import requests

from harness.errors import ProvisionError
from harness.provision.cluster import BASE_SETTINGS, SUPERUSER
from harness.provision.embedded import Storage
from harness.provision.process import candidate_ports
from harness.provision.server import PostgresServer, ServerFacts, StopMode, ask

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

_ENGINE_TIMEOUT_S = 0.7
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60
_POLL_S = 0.05
_PORT = 5432
_SIGNALS: Mapping[StopMode, str] = {"smart": "SIGTERM", "fast": "SIGINT", "immediate": "SIGQUIT"}
_ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException)


def engine_problem() -> str | None:
    """Why no container can be started here, in one line; None if an engine answers."""
    reason = _socket_problem()
    if reason is None:
        try:
            client = docker.from_env(timeout=_ENGINE_TIMEOUT_S)
            try:
                client.ping()
            finally:
                client.close()
        except _ENGINE_ERRORS as exc:
            reason = str(exc)
    if reason is None:
        return None
    return f"no container engine answers ({reason}); start one, or unset HARNESS_POSTGRES"


def _socket_problem() -> str | None:
    """Try the engine's Unix socket first: docker's client leaks its own when that fails."""
    address = docker.utils.parse_host(docker.utils.kwargs_from_env().get("base_url"))
    scheme, _, path = address.partition("://")
    if scheme != "http+unix":
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ENGINE_TIMEOUT_S)
        try:
            probe.connect(path)
        except OSError as exc:
            return f"{path}: {exc.strerror or exc}"
    return None


class ContainerServer(PostgresServer):
    """A server in a container of its own, on a port of the host that stays the same.

    The data lie in the container's volume, with fsync off for tests (`tmpfs`: a memory mount would
    be emptied by every stop) and on for measurements (`disk`).

    Args:
        image: The image to run, such as "postgres:18".
        storage: What the data are for.
        settings: PostgreSQL settings that come before our own.
    """

    provisioner = "container"

    def __init__(
        self, image: str, *, storage: Storage = "tmpfs", settings: Mapping[str, str] | None = None
    ) -> None:
        self._image = image
        self._settings = {
            **{name: value for name, value in BASE_SETTINGS.items() if name != "listen_addresses"},
            **({"fsync": "off"} if storage == "tmpfs" else {}),
            **(settings or {}),
        }
        self._password = secrets.token_urlsafe(24)
        self._container: DockerContainer | None = None
        self._url: str | None = None
        self._facts: ServerFacts | None = None
        self._mutex = threading.RLock()
        self._creator = os.getpid()

    @property
    def url(self) -> str:
        """Address of the maintenance database, as seen from this machine."""
        if self._url is None:
            raise ProvisionError("the container has not been started")
        return self._url

    @property
    def facts(self) -> ServerFacts:
        """What the server said of itself when it was last started."""
        if self._facts is None:
            raise ProvisionError("the container has not been started")
        return self._facts

    @property
    def location(self) -> str:
        """The image, whose volume holds the data."""
        return f"volume of {self._image}"

    def start(self) -> None:
        """Create the container, or start the stopped one, and wait until it accepts connections."""
        with self._mutex:
            if self._container is None:
                self._create()
            elif not self._state()["Running"]:
                self._engine(self._wrapped().start)
            self._facts = self._await_answer()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the container and keep its data."""
        with self._mutex:
            self._signal(_SIGNALS[mode])

    def kill(self) -> None:
        """SIGKILL the container's first process; the kernel then kills all others in it."""
        with self._mutex:
            self._signal("SIGKILL")

    def pids(self) -> list[int]:
        """Process ids as this machine sees them, the postmaster's first.

        Raises:
            ProvisionError: The engine runs in a virtual machine or elsewhere.
        """
        if self._container is None or not (state := self._state())["Running"]:
            return []
        listing = self._engine(self._wrapped().top)
        column = listing["Titles"].index("PID")
        pids = sorted({int(row[column]) for row in listing["Processes"]} - {state["Pid"]})
        pids.insert(0, state["Pid"])
        if not all(psutil.pid_exists(pid) for pid in pids):
            raise ProvisionError("the container's processes cannot be seen from this machine")
        return pids

    def close(self) -> None:
        """Remove the container and its volume."""
        with self._mutex:
            atexit.unregister(self._close_at_exit)
            container, self._container = self._container, None
            if container is not None:
                self._engine(container.stop)

    def _create(self) -> None:
        problem = engine_problem()
        if problem is not None:
            raise ProvisionError(problem)
        # Imported here because it costs a tenth of a second and few runs use containers.
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

        arguments = [f"{name}={value}" for name, value in self._settings.items()]
        command = ["postgres", *(part for argument in arguments for part in ("-c", argument))]
        for port in candidate_ports():
            container = PostgresContainer(
                self._image,
                username=SUPERUSER,
                password=self._password,
                dbname="postgres",
                driver=None,
            )
            container.with_bind_ports(_PORT, port).with_command(command)
            self._container = container
            atexit.register(self._close_at_exit)
            try:
                self._engine(container.start)
                host = container.get_container_host_ip()
            except BaseException as exc:
                self.close()
                if "already allocated" in str(exc) or "already in use" in str(exc):
                    continue
                raise
            password = quote(self._password, safe="")
            address = f"{SUPERUSER}:{password}@{host}:{port}/postgres?sslmode=disable"
            self._url = f"postgresql://{address}"
            return
        raise ProvisionError("no port is free for the container")

    def _engine(self, call: Callable[[], Any]) -> Any:
        """Ask the engine for something; its errors become ours, in one line."""
        try:
            return call()
        except _ENGINE_ERRORS as exc:
            reason = " ".join(str(exc).split())
            if "ryuk" in reason:
                raise ProvisionError(
                    "testcontainers' reaper image is not here and cannot be pulled; "
                    f"set TESTCONTAINERS_RYUK_DISABLED=true ({reason})"
                ) from exc
            if isinstance(exc, docker.errors.ImageNotFound) or "/images/create" in reason:
                raise ProvisionError(
                    f"the image {self._image} is not here and cannot be pulled; "
                    f"name another in HARNESS_POSTGRES_IMAGE ({reason})"
                ) from exc
            raise ProvisionError(f"the container engine refused {self._image}: {reason}") from exc
        except (TimeoutError, RuntimeError) as exc:
            raise ProvisionError(f"the container of {self._image} did not start: {exc}") from exc

    def _wrapped(self) -> Any:
        if self._container is None:
            raise ProvisionError("the container has not been started")
        return self._container.get_wrapped_container()

    def _state(self) -> dict[str, Any]:
        wrapped = self._wrapped()
        self._engine(wrapped.reload)
        state: dict[str, Any] = wrapped.attrs["State"]
        return state

    def _signal(self, name: str) -> None:
        if self._container is None or not self._state()["Running"]:
            return
        wrapped = self._wrapped()
        self._engine(lambda: wrapped.kill(signal=name))
        self._engine(lambda: wrapped.wait(timeout=_STOP_TIMEOUT_S))

    def _await_answer(self) -> ServerFacts:
        give_up = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                return ask(self.url)
            except ProvisionError:
                if time.monotonic() > give_up or not self._state()["Running"]:
                    raise
            time.sleep(_POLL_S)

    def _close_at_exit(self) -> None:
        if os.getpid() == self._creator:  # a fork inherits the hook, but not the container
            self.close()
