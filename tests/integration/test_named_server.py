"""`harness db`: a server that outlives the command which started it."""
# ruff: noqa: S603 # the commands are this file's own

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from typer.testing import CliRunner

from harness.commands.db import app
from harness.errors import DatabaseUnavailable, ProvisionError
from harness.provision import named
from harness.provision.process import postmaster_of
from harness.schema.inspect import inspect_database

pytestmark = pytest.mark.postgres

COMMAND = "from harness.commands.db import app; app()"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with a space in it, that the server's user can reach; its servers are stopped."""
    with tempfile.TemporaryDirectory(prefix="harness home ") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for server in Path(folder).iterdir():
            named.stop(server.name, Path(folder))


@pytest.fixture
def running(home: Path) -> str:
    """Address of the running server `main`."""
    return named.start("main", home).url


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The commands, with that home."""
    monkeypatch.setenv("HARNESS_HOME", str(home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return CliRunner()


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own."""
    with psycopg.connect(url, autocommit=True, connect_timeout=60) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def postmaster(url: str) -> psutil.Process:
    """The first process of the server at that address, asked of the server itself."""
    [(folder,)] = query(url, "SHOW data_directory")
    process = postmaster_of(Path(str(folder)))
    assert process is not None
    return process


class TestStartAndStop:
    """One server a name, whoever asks and how often."""

    def test_outlives_the_command(self, home: Path, cli: CliRunner) -> None:
        """The starting process ends, the server stays, with fsync and in a session of its own."""
        command = [sys.executable, "-c", COMMAND, "start", "--name", "main"]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        assert "harness db url --name main" in result.stdout
        assert result.stderr == ""
        url = named.url("main", home)
        assert query(url, "SHOW fsync") == [("on",)]
        assert os.getsid(postmaster(url).pid) not in (0, os.getsid(0))

    def test_start_twice_says_so(self, running: str, home: Path, cli: CliRunner) -> None:
        """The second start finds the first one's server."""
        assert named.start("main", home) == named.Started(url=running, already_running=True)
        assert "already runs" in cli.invoke(app, ["start", "--name", "main"]).stdout

    @pytest.mark.slow
    def test_of_two_starts_at_once_one_wins(self, home: Path) -> None:
        """Both report the same server and exactly one has started it."""
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _: named.start("race", home), range(2))
        assert first.url == second.url
        assert {first.already_running, second.already_running} == {True, False}
        assert query(first.url, "SELECT 1") == [(1,)]
        named.stop("race", home)

    def test_stop_keeps_data_and_is_idempotent(self, running: str, home: Path) -> None:
        """What was stored is there after the next start, at the same address."""
        query(running, "CREATE TABLE stopped AS SELECT 42 AS answer")
        process = postmaster(running)
        assert named.stop("main", home) is True
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        assert named.stop("main", home) is False
        assert named.start("main", home) == named.Started(url=running, already_running=False)
        assert query(running, "TABLE stopped") == [(42,)]

    @pytest.mark.parametrize("which", ["postmaster", "all"])
    def test_recovers_after_a_crash(self, running: str, home: Path, which: str) -> None:
        """After SIGKILL of the postmaster, or of all processes as in a reboot, `start` recovers."""
        query(running, f"CREATE TABLE crashed_{which} AS SELECT 42 AS answer")
        process = postmaster(running)
        family = [process, *(process.children(recursive=True) if which == "all" else [])]
        process.suspend()
        for each in family:
            each.send_signal(signal.SIGKILL)
        again = named.start("main", home)
        while again.already_running:  # the kernel is still ending the last of them
            again = named.start("main", home)
        assert query(again.url, f"TABLE crashed_{which}") == [(42,)]

    def test_url_of_a_stopped_server_says_how_to_start_it(self, home: Path) -> None:
        """One line with the command to type, also for a name never used."""
        with pytest.raises(ProvisionError, match="start it with `harness db start --name never`"):
            named.url("never", home)
        with pytest.raises(ProvisionError, match=r"start it with `harness db start`$"):
            named.url(named.DEFAULT_NAME, home)

    def test_stop_of_a_name_never_used(self, home: Path, cli: CliRunner) -> None:
        """There is nothing to stop, nothing is made, and that is no error."""
        result = cli.invoke(app, ["stop", "--name", "never"])
        assert (result.exit_code, result.stdout) == (0, "The server 'never' did not run.\n")
        assert not (home / "never").exists()

    @pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "/"])
    def test_a_name_cannot_leave_the_home(self, home: Path, name: str) -> None:
        """Names are file names."""
        with pytest.raises(ProvisionError, match="cannot name a server"):
            named.start(name, home)

    def test_a_home_that_cannot_be_written(self, home: Path) -> None:
        """One line names the folder and the variable that moves it."""
        blocker = home.with_name(f"{home.name}.file")
        blocker.touch()
        try:
            with pytest.raises(ProvisionError, match=r"cannot make .*HARNESS_HOME"):
                named.start("main", blocker)
        finally:
            blocker.unlink()

    @pytest.mark.usefixtures("running")
    def test_the_password_is_its_owners_alone(self, home: Path) -> None:
        """The file that remembers it is closed to others."""
        assert stat.S_IMODE((home / "main" / "server.json").stat().st_mode) == 0o600


@pytest.mark.usefixtures("running", "cli")
def test_psql_is_the_servers_own() -> None:
    """`harness db psql` passes its arguments on, and keeps the password off the command line."""
    show = "SELECT current_setting('server_version') = :'VERSION_NAME'"
    command = [sys.executable, "-c", COMMAND, "psql", "--name", "main", "-AtX"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, input=show)
    assert (result.stdout, result.stderr, result.returncode) == ("t\n", "", 0)


class TestInspect:
    """What `harness db inspect` shows."""

    SCHEMA = """
        CREATE SCHEMA langgraph_server;
        CREATE TABLE langgraph_server.assistants (
            assistant_id uuid, graph_id text, owner text, created_at timestamptz);
        CREATE TABLE langgraph_server.crons (cron_id uuid);
        INSERT INTO langgraph_server.assistants
        SELECT gen_random_uuid(), 'agent-' || n, 'alice', now() + n * interval '1h'
          FROM generate_series(1, 3) AS n;
        CREATE TABLE checkpoints (thread_id text, checkpoint_id text);
        INSERT INTO checkpoints VALUES ('t1', 'c1'), ('t1', 'c2'), ('t2', 'c3');
        CREATE TABLE unrelated (x int);
    """

    @pytest.fixture
    def database(self, running: str) -> Iterator[str]:
        """A database of its own."""
        query(running, "CREATE DATABASE inspected")
        yield psycopg.conninfo.make_conninfo(running, dbname="inspected")
        query(running, "DROP DATABASE inspected WITH (FORCE)")

    async def test_an_empty_database(self, database: str) -> None:
        """Missing tables are no error: there is just nothing to show."""
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            tables = await inspect_database(connection)
        assert [(table.title, len(table.rows)) for table in tables] == [
            ("Schemas", 1),
            ("Runtime tables (langgraph_server)", 0),
            ("LangGraph tables", 0),
        ]

    async def test_shows_tables_records_and_checkpoints(self, database: str) -> None:
        """Counts are exact, records come newest first, and only columns that exist are read."""
        query(database, self.SCHEMA)
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            tables = {t.title: t for t in await inspect_database(connection, newest=2)}
        runtime = tables["Runtime tables (langgraph_server)"].rows
        assert [row[:2] for row in runtime] == [("assistants", 3), ("crons", 0)]
        assert [row[:2] for row in tables["LangGraph tables"].rows] == [("public.checkpoints", 3)]
        newest = tables["Newest assistants"]
        assert newest.columns == ("assistant_id", "graph_id", "owner", "created_at")
        assert [row[1:3] for row in newest.rows] == [("agent-3", "alice"), ("agent-2", "alice")]
        checkpoints = tables["Checkpoints by thread (public.checkpoints)"]
        assert checkpoints.rows == (("t2", 1, "c3"), ("t1", 2, "c2"))

    def test_the_command_prints_them(
        self, database: str, cli: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DATABASE_URL says which database; tables come out as text."""
        query(database, self.SCHEMA)
        monkeypatch.setenv("DATABASE_URL", database)
        result = cli.invoke(app, ["inspect"], catch_exceptions=False)
        assert result.exit_code == 0
        assert "Newest assistants" in result.stdout
        assert "agent-3" in result.stdout

    def test_an_unreachable_database_is_one_line(
        self, cli: CliRunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error names the address and not the password."""
        monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:1/app")
        result = cli.invoke(app, ["inspect"])
        assert isinstance(result.exception, DatabaseUnavailable)
        assert "127.0.0.1" in str(result.exception)
        assert "hunter2" not in str(result.exception)
