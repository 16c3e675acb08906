"""The handle to a running PostgreSQL server, whoever provides it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Literal, Self

import psycopg

from harness.config import redact
from harness.errors import ProvisionError

StopMode = Literal["smart", "fast", "immediate"]
"""How to stop: wait for the clients, disconnect them, or give up without a checkpoint."""

CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself."""

    version: str
    """`server_version` without the packager's remark, such as "18.4"."""
    fsync: bool


class PostgresServer(ABC):
    """A PostgreSQL server that tests, benchmarks and people connect to.

    The methods are synchronous and may be called from any thread; async callers use
    `asyncio.to_thread`. What a provisioner cannot do raises `ProvisionError`.
    """

    provisioner: ClassVar[Literal["external", "embedded", "container"]]

    @property
    @abstractmethod
    def url(self) -> str:
        """Address of the maintenance database; stays the same over restarts."""

    @property
    @abstractmethod
    def facts(self) -> ServerFacts:
        """What the server said of itself when it was last started."""

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the data lies, for people: "tmpfs", "ext4 disk", a host."""

    @property
    def version(self) -> str:
        """The server's version, such as "18.4"."""
        return self.facts.version

    @property
    def fsync(self) -> bool:
        """Whether the server waits until the disk has what was committed."""
        return self.facts.fsync

    @abstractmethod
    def start(self) -> None:
        """Start the server on its data and wait until it accepts connections.

        Does nothing when it runs already.
        """

    @abstractmethod
    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and keep its data; does nothing when it is stopped already."""

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL every process of the server at once and wait until all are gone."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Process ids of the postmaster, which comes first, and of all its children.

        Some of the children come and go by themselves: an id may be gone when it is used.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop the server and remove what was made for it; safe to call twice."""

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start again, on the same data and address."""
        self.stop(mode)
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def ask(url: str) -> ServerFacts:
    """Connect and read what the server says of itself.

    Raises:
        ProvisionError: It does not answer within 5 seconds, or refuses.
    """
    try:
        with psycopg.connect(
            url, autocommit=True, prepare_threshold=None, connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'), current_setting('fsync')"
            ).fetchone()
    except psycopg.Error as exc:
        reason = " ".join(str(exc).split())
        raise ProvisionError(f"no PostgreSQL answers at {redact(url)}: {reason}") from exc
    if row is None:
        raise ProvisionError(f"what answers at {redact(url)} is no PostgreSQL server")
    return ServerFacts(version=row[0].split()[0], fsync=row[1] == "on")


def describe(server: PostgresServer) -> str:
    """One line for headers and records: "PostgreSQL 18.4, embedded, fsync off (tmpfs)"."""
    fsync = "on" if server.fsync else "off"
    return f"PostgreSQL {server.version}, {server.provisioner}, fsync {fsync} ({server.location})"
