"""The embedded server: it starts anywhere, keeps its data, and never outlives its owner."""
# ruff: noqa: S603, S607 # the commands are this file's own

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from harness.config import ProvisionConfig
from harness.errors import ProvisionError
from harness.provision import EmbeddedServer, PostgresServer, describe, provision
from harness.provision.account import run_as, server_account
from harness.provision.binaries import PACKAGE, find_binaries, installed_package
from harness.provision.folders import PREFIX, make_folder, memory_base

pytestmark = pytest.mark.postgres

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prctl")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")

CHILD = """
import sys, time
from pathlib import Path
from harness.provision import EmbeddedServer
server = EmbeddedServer(folder=Path(sys.argv[1]))
server.start()
print(server.url, *server.pids(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that the server's user can reach; pytest's own is closed to others."""
    with tempfile.TemporaryDirectory(dir=memory_base(), prefix="test-pg-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """One server for the tests that leave it running."""
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def row(server: EmbeddedServer) -> Iterator[str]:
    """A committed row: its text, in a table that the test can look for."""
    query(server.url, "CREATE TABLE IF NOT EXISTS kept (text text)")
    query(server.url, "INSERT INTO kept VALUES ('still here')")
    yield "still here"
    server.start()
    query(server.url, "DROP TABLE kept")


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own."""
    with psycopg.connect(url, autocommit=True, connect_timeout=60) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def processes(pids: list[int]) -> list[psutil.Process]:
    """Those of the processes that live; some of a server's come and go by themselves."""
    living = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            living.append(psutil.Process(pid))
    return living


def wait_gone(family: list[psutil.Process], timeout_s: float = 60) -> list[psutil.Process]:
    """Wait until the processes have ended; return those that have not.

    A zombie has ended: when it is collected is up to the machine's first process.
    """
    give_up = time.monotonic() + timeout_s
    alive = family
    while alive and time.monotonic() < give_up:
        time.sleep(0.01)
        alive = [process for process in alive if not has_ended(process)]
    return alive


def has_ended(process: psutil.Process) -> bool:
    """Whether the process is gone or waits to be collected."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass
class Owner:
    """A real process that owns a server, and what it said of it."""

    process: subprocess.Popen[str]
    url: str
    family: list[psutil.Process]

    @property
    def supervisor(self) -> psutil.Process:
        """The process between the owner and the postmaster."""
        parent = self.family[0].parent()
        assert parent is not None
        return parent


@contextmanager
def owner_of_a_server(base: Path, python: str = sys.executable, **popen: Any) -> Iterator[Owner]:
    """Start a process that owns a server in that folder, and kill it at the end."""
    command = [python, "-c", CHILD, str(base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **popen) as process:
        try:
            assert process.stdout is not None
            url, *pids = process.stdout.readline().split()
            yield Owner(process, url, processes([int(pid) for pid in pids]))
        finally:
            process.kill()


class TestServing:
    """What a started server offers."""

    def test_answers_on_tcp_and_tells_what_it_is(self, server: EmbeddedServer) -> None:
        """The URL works as it stands, and the header line is true."""
        [(version, fsync, kind)] = query(
            server.url,
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('server_encoding')",
        )
        assert (version, fsync, kind) == (server.version, "off", "UTF8")
        assert not server.fsync
        assert describe(server) == f"PostgreSQL {version}, embedded, fsync off ({server.location})"

    def test_refuses_whoever_lacks_the_password(self, server: EmbeddedServer) -> None:
        """Other users of the machine do not get in over TCP, and cannot reach the socket."""
        wrong = psycopg.conninfo.make_conninfo(server.url, password="guess")  # noqa: S106 # wrong
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(wrong, "SELECT 1")
        folder = server.socket_directory
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_answers_on_its_socket(self, server: EmbeddedServer) -> None:
        """Its own user needs no password there."""
        port = psycopg.conninfo.conninfo_to_dict(server.url)["port"]
        address = f"host={server.socket_directory} port={port} user=postgres dbname=postgres"
        assert query(address, "SELECT 1") == [(1,)]

    def test_lists_its_processes(self, server: EmbeddedServer) -> None:
        """The postmaster comes first, and its children are all there."""
        [(postmaster,)] = query(server.url, "SELECT pg_read_file('postmaster.pid', 0, 20)")
        workers = query(
            server.url,
            "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('checkpointer', 'walwriter')",
        )
        first, *children = server.pids()
        assert str(postmaster).startswith(f"{first}\n")
        assert len(workers) == 2
        assert {pid for (pid,) in workers} <= set(children)

    @pytest.mark.slow
    def test_several_at_once(self, server: EmbeddedServer) -> None:
        """Two more started from threads at the same time get ports and folders of their own."""

        async def start_both() -> list[EmbeddedServer]:
            servers = [EmbeddedServer(), EmbeddedServer()]
            await asyncio.gather(*(asyncio.to_thread(each.start) for each in servers))
            return servers

        others = asyncio.run(start_both())
        try:
            # The threads that started them have ended by now.
            assert len({each.url for each in [server, *others]}) == 3
            assert all(query(each.url, "SELECT 1") == [(1,)] for each in others)
        finally:
            for each in others:
                each.close()


class TestLifecycle:
    """Stop, start, restart and kill, on the same data and the same address."""

    def test_stop_and_start_keep_data_and_address(self, server: EmbeddedServer, row: str) -> None:
        """A stopped server refuses connections and comes back with what it had."""
        url, pids = server.url, server.pids()
        server.stop()
        server.stop()
        assert not processes(pids)
        assert server.pids() == []
        with pytest.raises(psycopg.OperationalError):
            query(url, "SELECT 1")
        server.start()
        server.start()
        assert server.url == url
        assert query(url, "SELECT text FROM kept") == [(row,)]

    def test_restart_disconnects_and_keeps_data(self, server: EmbeddedServer, row: str) -> None:
        """A fast restart does not wait for clients."""
        with psycopg.connect(server.url) as idle:
            server.restart()
            with pytest.raises(psycopg.OperationalError):
                idle.execute("SELECT 1")
        assert query(server.url, "SELECT text FROM kept") == [(row,)]

    def test_kill_ends_every_process_and_start_recovers(
        self, server: EmbeddedServer, row: str
    ) -> None:
        """SIGKILL leaves postmaster.pid behind; recovery brings back what was committed."""
        pids = server.pids()
        server.kill()
        assert not processes(pids)
        assert (server.data_directory / "postmaster.pid").exists()
        server.start()
        assert query(server.url, "SELECT text FROM kept") == [(row,)]

    def test_recovers_when_the_postmaster_alone_was_killed(
        self, server: EmbeddedServer, row: str
    ) -> None:
        """Orphaned backends are waited for; they still use the old shared memory."""
        postmaster = psutil.Process(server.pids()[0])
        postmaster.kill()
        assert not wait_gone([postmaster])
        server.start()
        assert query(server.url, "SELECT text FROM kept") == [(row,)]

    def test_recovers_when_the_old_id_is_another_programs(
        self, server: EmbeddedServer, row: str
    ) -> None:
        """A postmaster.pid that names a living stranger does not stop the start."""
        account = server_account()
        server.kill()
        with subprocess.Popen(
            ["/bin/sleep", "60"],
            user=account.uid if account else None,
            group=account.gid if account else None,
        ) as stranger:
            pid_file = server.data_directory / "postmaster.pid"
            lines = pid_file.read_text().splitlines()
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            try:
                server.start()
                assert stranger.poll() is None
            finally:
                stranger.kill()
        assert query(server.url, "SELECT text FROM kept") == [(row,)]

    def test_a_frozen_server_can_be_stopped(self, server: EmbeddedServer, row: str) -> None:
        """Processes under SIGSTOP do not hear the request, so they are woken for it."""
        for pid in server.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        server.stop()
        server.start()
        assert query(server.url, "SELECT text FROM kept") == [(row,)]

    @pytest.mark.slow
    def test_close_removes_everything(self, base: Path) -> None:
        """After the `with` block there is no process, no folder, and closing again is fine."""
        with EmbeddedServer(folder=base) as server:
            pids = server.pids()
            assert list(base.iterdir())
        server.close()
        assert not processes(pids)
        assert not list(base.iterdir())


class TestDeathOfTheOwner:
    """However the owning process ends, its server goes with it."""

    @pytest.mark.parametrize(
        "frozen",
        [
            pytest.param(True, id="frozen"),
            pytest.param(False, id="running", marks=pytest.mark.slow),
        ],
    )
    def test_sigkill_leaves_neither_process_nor_folder(self, base: Path, frozen: bool) -> None:
        """SIGKILL of the owner runs no code of its own, and a server under SIGSTOP hears nobody."""
        with owner_of_a_server(base) as owner:
            assert len(owner.family) > 3
            family = [*owner.family, owner.supervisor]
            for process in owner.family if frozen else []:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            owner.process.kill()
            assert not wait_gone(family)
        assert not list(base.iterdir())

    @pytest.mark.slow
    @linux_only
    def test_sigkill_of_the_supervisor_too_leaves_no_process(self, base: Path) -> None:
        """The kernel ends the postmaster then, and the next start sweeps the folder."""
        with owner_of_a_server(base) as owner:
            supervisor = owner.supervisor
            owner.process.send_signal(signal.SIGSTOP)
            supervisor.kill()
            owner.process.kill()
            assert not wait_gone(owner.family)
        assert len(list(base.iterdir())) == 1
        folder = make_folder(base, server_account())
        assert list(base.iterdir()) == [folder.path]
        folder.remove()

    @pytest.mark.slow
    def test_a_living_servers_folder_is_never_swept(self, base: Path) -> None:
        """Another process that starts a server in the same place leaves ours alone."""
        with owner_of_a_server(base) as owner:
            folder = make_folder(base, server_account())
            folder.remove()
            assert query(owner.url, "SELECT 1") == [(1,)]
            assert len(list(base.glob(f"{PREFIX}*"))) == 1
            owner.process.kill()
            assert not wait_gone(owner.family)


class TestPlaces:
    """Folders, ports and users."""

    @pytest.mark.slow
    def test_a_path_with_spaces(self, base: Path) -> None:
        """Quotes and spaces in the path reach every program whole; long paths do without socket."""
        folder = base / "my \"own\" 'folder', of tests"
        folder.mkdir()
        with EmbeddedServer(folder=folder) as server:
            assert query(server.url, "SELECT 1") == [(1,)]
        assert not list(folder.iterdir())

    def test_a_path_too_long_for_a_socket(self, base: Path) -> None:
        """TCP serves where no socket can be made; quotes and spaces are passed on here, too."""
        folder = base / ("a \"long\" 'name', " * 8)
        folder.mkdir()
        with EmbeddedServer(folder=folder) as server:
            assert server.socket_directory is None
            assert query(server.url, "SELECT 1") == [(1,)]

    @pytest.mark.slow
    def test_a_taken_port_is_passed_over(self, base: Path) -> None:
        """The next port is tried; if there is none, one line says so and nothing is left."""
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            taken = holder.getsockname()[1]
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                free = probe.getsockname()[1]
            with EmbeddedServer(folder=base, ports=[taken, free]) as server:
                assert f":{free}/" in server.url
            with pytest.raises(ProvisionError, match=f"no port is free.*{taken}"):
                EmbeddedServer(folder=base, ports=[taken]).start()
        assert not list(base.iterdir())

    def test_a_folder_that_cannot_be_written(self, base: Path) -> None:
        """One clear line names the folder."""
        with pytest.raises(
            ProvisionError, match="cannot make a folder for PostgreSQL in"
        ) as caught:
            EmbeddedServer(folder=base / "missing").start()
        assert "\n" not in str(caught.value)
        assert str(base / "missing") in str(caught.value)

    @root_only
    def test_a_folder_that_the_servers_user_cannot_enter(self, tmp_path: Path) -> None:
        """Root's private folders are no place for a server that must not run as root."""
        tmp_path.chmod(0o700)
        with pytest.raises(ProvisionError, match="cannot enter"):
            EmbeddedServer(folder=tmp_path).start()
        assert not list(tmp_path.iterdir())

    @root_only
    def test_no_disk_space(self, base: Path) -> None:
        """A full volume gives one line that says so, and nothing is left."""
        command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "none", str(base)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("may not mount a small file system here")
        try:
            with pytest.raises(ProvisionError, match=r"no disk space left .*; free some") as caught:
                EmbeddedServer(folder=base).start()
            assert "\n" not in str(caught.value)
            assert not list(base.iterdir())
        finally:
            subprocess.run(["umount", str(base)], check=True)

    @pytest.mark.slow
    def test_settings_come_before_ours(self, base: Path) -> None:
        """A control run can ask for weaker durability, and `disk` means fsync."""
        settings = {"synchronous_commit": "off", "max_connections": "20"}
        with EmbeddedServer(storage="disk", folder=base, settings=settings) as server:
            assert server.fsync
            assert query(server.url, "SHOW synchronous_commit") == [("off",)]
            assert query(server.url, "SHOW max_connections") == [("20",)]

    def test_an_unknown_setting_is_named(self, base: Path) -> None:
        """PostgreSQL's own words are in the error, and nothing is left."""
        with pytest.raises(ProvisionError, match="no_such_setting"):
            EmbeddedServer(folder=base, settings={"no_such_setting": "1"}).start()
        assert not list(base.iterdir())

    @pytest.mark.slow
    @root_only
    def test_a_wheel_in_a_closed_home_is_copied_for_the_unprivileged_user(self, base: Path) -> None:
        """Programs under a 0700 home run from a copy, made once and not writable by others."""
        account = server_account()
        assert account is not None
        home = base / "home"
        package = home / PACKAGE
        shutil.copytree(
            installed_package(), package, ignore=shutil.ignore_patterns("pginstall", "include")
        )
        libraries = installed_package().with_name(f"{PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, home / libraries.name)
        home.chmod(0o700)
        cache = base / "cache"
        cache.mkdir(mode=0o755)
        binaries = find_binaries(account, package=package, cache=cache)
        assert binaries.folder.is_relative_to(cache)
        for program in ("postgres", "initdb", "psql", "pgbench"):
            assert run_as(account, [binaries[program], "--version"]).returncode == 0
        made = binaries["postgres"].stat()
        assert find_binaries(account, package=package, cache=cache) == binaries
        assert binaries["postgres"].stat().st_ino == made.st_ino
        assert not any(p.stat().st_mode & 0o022 for p in cache.rglob("*") if not p.is_symlink())

    @root_only
    def test_root_does_not_trust_somebody_elses_cache(self, base: Path) -> None:
        """A folder that others can write is no place for programs that root runs."""
        account = server_account()
        assert account is not None
        home = base / "home"
        shutil.copytree(installed_package() / "pginstall18/bin", home / PACKAGE / "pginstall18/bin")
        home.chmod(0o700)
        cache = base / "cache"
        cache.mkdir()
        account.owns(cache)
        with pytest.raises(ProvisionError, match="belongs to somebody else"):
            find_binaries(account, package=home / PACKAGE, cache=cache)

    @pytest.mark.slow
    @root_only
    def test_an_ordinary_user_runs_it_too(self, base: Path) -> None:
        """A process without privileges starts a server as itself."""
        account = server_account()
        assert account is not None
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        python = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
        paths = [path for path in sys.path if path]
        if python is None or run_as(account, [python, "-c", "1"]).returncode:
            pytest.skip(f"no Python {version} that another user can execute")
        account.owns(base)
        with owner_of_a_server(
            base,
            python,
            cwd="/",
            env={"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        ) as owner:
            assert query(owner.url, "SELECT 1") == [(1,)]
            assert owner.family[0].uids().real == account.uid
            owner.process.kill()
            assert not wait_gone(owner.family)


class TestProvision:
    """The order in which a server is looked for."""

    def test_a_url_comes_first(self, server: EmbeddedServer) -> None:
        """A given server is used whatever else is asked for, and its facts are read."""
        config = ProvisionConfig(url=server.url, provisioner="container")
        with provision(config) as found:
            assert (found.provisioner, found.url) == ("external", server.url)
            assert (found.version, found.fsync) == (server.version, server.fsync)
            assert found.location.startswith("127.0.0.1:")
        assert query(server.url, "SELECT 1") == [(1,)]

    @pytest.mark.parametrize("what", ["stop", "kill", "pids", "restart"])
    def test_a_given_server_is_not_controlled(self, server: EmbeddedServer, what: str) -> None:
        """Stopping or killing somebody else's server is refused, and says so."""
        with provision(ProvisionConfig(url=server.url)) as found:
            with pytest.raises(ProvisionError, match="not ours"):
                getattr(found, what)()
            assert query(found.url, "SELECT 1") == [(1,)]

    def test_an_unreachable_url_is_said_in_one_line(self) -> None:
        """The address is named and the password is not."""
        url = "postgresql://user:hunter2@127.0.0.1:1/app"
        with pytest.raises(
            ProvisionError, match=r"no PostgreSQL answers at .*127\.0\.0\.1"
        ) as caught:
            provision(ProvisionConfig(url=url))
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.slow
    def test_the_embedded_server_is_the_default(self) -> None:
        """With nothing set, the server is our own."""
        server: PostgresServer
        with provision(ProvisionConfig()) as server:
            assert server.provisioner == "embedded"
            assert query(server.url, "SELECT 1") == [(1,)]
