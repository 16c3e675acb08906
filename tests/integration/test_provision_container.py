"""The container path: for real where an engine is up, and a clear word where none is."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import psycopg
import pytest

from harness.config import ProvisionConfig
from harness.errors import ProvisionError
from harness.provision import PostgresServer, describe, provision
from harness.provision.container import engine_problem


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own."""
    with psycopg.connect(url, autocommit=True, connect_timeout=60) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """An image that is here already; pulling one is not a test's business.

    The same goes for testcontainers' reaper, which is an image of its own: it stays off unless
    the environment says otherwise.
    """
    problem = engine_problem()
    if problem is not None:
        pytest.skip(problem)
    name = local_image(ProvisionConfig.from_env().image, "postgres:15-local")
    with pytest.MonkeyPatch.context() as patch:
        if "TESTCONTAINERS_RYUK_DISABLED" not in os.environ:
            patch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        yield name


def local_image(*names: str) -> str:
    """The first of the images that the engine has; skips if it has none."""
    client = docker.from_env()
    try:
        for name in names:
            try:
                client.images.get(name)
            except docker.errors.ImageNotFound:
                continue
            return name
    finally:
        client.close()
    pytest.skip(f"an engine is up but has no image {names[0]}; pull it to run this")


@pytest.fixture(scope="module")
def server(image: str) -> Iterator[PostgresServer]:
    """One container for all tests."""
    config = ProvisionConfig(provisioner="container", image=image)
    with provision(config, settings={"work_mem": "5MB"}) as server:
        yield server


@pytest.mark.postgres
@pytest.mark.docker
class TestContainer:
    """A server in a container does what the embedded one does."""

    def test_answers_and_tells_what_it_is(self, server: PostgresServer, image: str) -> None:
        """The header line is true, and settings arrive."""
        assert describe(server).startswith(f"PostgreSQL {server.version}, container, fsync off")
        assert image in server.location
        assert query(server.url, "SHOW server_version_num") > [("130000",)]
        assert query(server.url, "SHOW work_mem") == [("5MB",)]

    @pytest.mark.parametrize("how", ["restart", "kill"])
    def test_keeps_data_and_address(self, server: PostgresServer, how: str) -> None:
        """What was committed survives a restart and SIGKILL, and the URL stays."""
        url = server.url
        query(url, f"CREATE TABLE kept_{how} AS SELECT 42 AS answer")
        getattr(server, how)()
        if how == "kill":
            assert server.pids() == []
            with pytest.raises(psycopg.OperationalError):
                query(url, "SELECT 1")
            server.start()
        assert server.url == url
        assert query(url, f"TABLE kept_{how}") == [(42,)]

    def test_an_image_that_is_nowhere(self, image: str) -> None:
        """One line names the image and the variable to change."""
        name = "localhost:1/no/such/postgres:0"
        config = ProvisionConfig(provisioner="container", image=name)
        with pytest.raises(ProvisionError, match=f"{name}.*HARNESS_POSTGRES_IMAGE") as caught:
            provision(config)
        assert "\n" not in str(caught.value)


class TestNoEngine:
    """Without an engine there is one clear line, and no leaked socket."""

    def test_no_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An engine that is not there is said to be missing."""
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none.sock'}")
        with pytest.raises(
            ProvisionError, match=r"no container engine answers .*start one"
        ) as caught:
            provision(ProvisionConfig(provisioner="container"))
        assert "\n" not in str(caught.value)

    def test_nobody_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An engine over TCP that refuses is said to be missing too."""
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{holder.getsockname()[1]}")
            with pytest.raises(ProvisionError, match="no container engine answers"):
                provision(ProvisionConfig(provisioner="container"))
