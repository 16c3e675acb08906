"""The Postgres servers of a test run: one shared by all, and private ones to break."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.provision import PostgresServer, Storage


class SharedServer:
    """The one server of this process's test run, started by whoever asks first."""

    def __init__(self, storage: Storage = "tmpfs") -> None:
        self._storage = storage
        self._server: PostgresServer | None = None
        self.problem: str | None = None
        """Why there is none, once somebody has asked."""

    def get(self) -> PostgresServer | None:
        """Return the running server, or None where none can be had."""
        if self._server is None and self.problem is None:
            from harness.config import (  # noqa: PLC0415 -- the plugin loads fast
                DatabaseConfig,
                ProvisionConfig,
            )
            from harness.errors import ConfigError, ProvisionError  # noqa: PLC0415 -- likewise
            from harness.provision import provision  # noqa: PLC0415 -- likewise

            try:
                DatabaseConfig.from_env()  # what tests connect with, checked once and for all
                self._server = provision(ProvisionConfig.from_env(), storage=self._storage)
            except (ConfigError, ProvisionError) as exc:
                self.problem = str(exc)
        return self._server

    def describe(self) -> str | None:
        """Return a line about the server if it was asked for: what runs, or why nothing does."""
        if self._server is not None:
            from harness.provision import describe  # noqa: PLC0415 -- the plugin loads fast

            return describe(self._server)
        return None if self.problem is None else f"no PostgreSQL: {self.problem}"

    def close(self) -> None:
        """Stop the server."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


SHARED_SERVER = pytest.StashKey[SharedServer]()


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the shared server; what is timed waits for a real disk."""
    timed = config.getoption("benchmark_only", default=False)
    config.stash[SHARED_SERVER] = SharedServer("disk" if timed else "tmpfs")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared server."""
    config.stash[SHARED_SERVER].close()


def insist(config: pytest.Config, problem: str) -> NoReturn:
    """Skip the test for want of a server, or fail it where that was asked for.

    Raises:
        pytest.fail.Exception: Under `--require-postgres` and in CI.
        pytest.skip.Exception: Otherwise.
    """
    from harness.config import in_ci  # noqa: PLC0415 -- the plugin loads fast

    if config.getoption("require_postgres") or in_ci():
        pytest.fail(f"PostgreSQL is required, but there is none: {problem}", pytrace=False)
    pytest.skip(f"no PostgreSQL: {problem}")


@pytest.fixture(scope="session")
def postgres_available(pytestconfig: pytest.Config) -> bool:
    """Whether a PostgreSQL server is running or could be started."""
    return pytestconfig.stash[SHARED_SERVER].get() is not None


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> PostgresServer:
    """The run's server, one for each process; don't stop it, other tests use it."""
    shared = pytestconfig.stash[SHARED_SERVER]
    server = shared.get()
    if server is None:
        insist(pytestconfig, shared.problem or "nobody tried to start one")
    return server


@contextmanager
def private_server(config: pytest.Config) -> Iterator[PostgresServer]:
    """Lend a server of its own to the block, or skip or fail the test for want of one."""
    from harness.config import ProvisionConfig  # noqa: PLC0415 -- the plugin loads fast
    from harness.errors import ConfigError, ProvisionError  # noqa: PLC0415 -- likewise
    from harness.provision import provision  # noqa: PLC0415 -- likewise

    try:
        server = provision(replace(ProvisionConfig.from_env(), url=None), storage="tmpfs")
    except (ConfigError, ProvisionError) as exc:
        insist(config, str(exc))
    with server:
        yield server


@pytest.fixture
def own_postgres_server(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A server for this test alone, to stop, kill and restart; never the one at DATABASE_URL."""
    with private_server(pytestconfig) as server:
        yield server
