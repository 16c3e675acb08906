"""The plugin's options and marks, each in a pytest run of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.integration.forked.process import Ended, run

ROOT = Path(__file__).parents[2]
NOBODY = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"
# Other plugins take seconds to load; test_example_repo.py shows that ours is found without -p.
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
ENVIRONMENT = {**os.environ, **ALONE, "DATABASE_URL": NOBODY, "CI": ""}
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "harness.pytest_plugin", "-p", "no:cacheprovider")
TESTS = {
    "conftest.py": """
        from harness.pytest_plugin.servers import SHARED_SERVER

        def pytest_sessionfinish(session):
            print("\\nSERVER:", session.config.stash[SHARED_SERVER].describe())
        """,
    "test_it.py": """
        def test_plain():
            pass

        def test_storage(storage):
            pass

        def test_url(database_url):
            pass

        def test_available(postgres_available):
            assert postgres_available is False
        """,
    "pytest.ini": """
        [pytest]
        asyncio_mode = auto
        asyncio_default_fixture_loop_scope = session
        asyncio_default_test_loop_scope = session
        """,
}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a folder with a few tests."""
    for name, text in TESTS.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


async def forked(repo: Path, *arguments: str, **environ: str) -> Ended:
    """Run pytest where the only PostgreSQL that is configured does not exist."""
    given = (*PLUGINS, "-rs", *arguments)
    return await run("pytest:console_main", *given, env={**ENVIRONMENT, **environ}, cwd=repo)


def fresh(repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it likewise in a process that has imported nothing yet."""
    return subprocess.run(  # noqa: S603 -- this Python, arguments of this file
        [sys.executable, "-m", "pytest", *PLUGINS, *arguments],
        cwd=repo,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_not_postgres_asks_for_no_server(repo: Path) -> None:
    """`-m "not postgres"` runs what needs no server, and looks for none."""
    done = await forked(repo, "-m", "not postgres")
    assert done.code == 0, done.out
    assert "2 passed, 3 deselected" in done.out
    assert "SERVER: None" in done.out


@pytest.mark.slow
def test_benchmarks_of_memory_ask_for_no_server() -> None:
    """They choose their fixtures as they run, out of sight of marks, and still need no server."""
    arguments = ("-q", "-m", "not postgres", "--require-postgres", "-p", "pytest_benchmark.plugin")
    done = fresh(ROOT, *arguments, "-p", "xdist.plugin", "-p", "pytest_timeout", "benchmarks")
    assert done.returncode == 0, done.stdout


async def test_skips_with_one_reason(repo: Path) -> None:
    """Where no server can be had, the tests that need one are skipped, and the run says why."""
    done = await forked(repo)
    assert done.code == 0, done.out
    assert "3 passed, 2 skipped" in done.out
    skips = [line for line in done.out.splitlines() if line.startswith("SKIPPED [")]
    assert len({line.partition(": ")[2] for line in skips}) == 1
    assert "no PostgreSQL answers at" in skips[0]
    assert "harness: no PostgreSQL: " in done.out


@pytest.mark.parametrize("how", ["--require-postgres", "CI"])
async def test_required_server_is_missing(repo: Path, how: str) -> None:
    """`--require-postgres` and CI make that a failure: a green run that tested nothing is a lie."""
    done = await forked(repo, CI="true") if how == "CI" else await forked(repo, how)
    assert done.code == 1
    assert "PostgreSQL is required, but there is none" in done.out
    assert "skipped" not in done.out


async def test_malformed_url_is_explained(repo: Path) -> None:
    """An address that is none is said to be so, without repeating it."""
    done = await forked(repo, DATABASE_URL="postgres//u:secret@h")
    assert "DATABASE_URL is not a Postgres address" in done.out
    assert "secret" not in done.out + done.err


async def test_backend_option(repo: Path) -> None:
    """`--backend` chooses the backends of `storage`."""
    done = await forked(
        repo, "--backend", "memory,memory", "--backend=memory", "--collect-only", "-q"
    )
    assert "test_storage[memory]" in done.out
    assert done.out.count("test_storage[") == 1
    assert "SERVER: None" in done.out


async def test_unknown_backend(repo: Path) -> None:
    """A backend that does not exist is refused, with the names of those that do."""
    done = await forked(repo, "--backend", "mysql")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "unknown backend 'mysql'; use one of memory, postgres" in done.err


def test_silent_where_unused(repo: Path) -> None:
    """A run that uses nothing of harness sees nothing of it, and loads none of its modules."""
    (repo / "test_it.py").write_text(
        textwrap.dedent(
            """
            import sys

            def test_plain():
                ours = [name for name in sys.modules if name.startswith("harness.")]
                assert all(name.startswith("harness.pytest_plugin") for name in ours), ours
                assert "psycopg" not in sys.modules
            """
        )
    )
    done = fresh(repo)
    assert done.returncode == 0, done.stdout
    assert "harness:" not in done.stdout


@pytest.mark.slow
async def test_odd_text_ends_no_worker(repo: Path) -> None:
    """A lone surrogate in what a test says is shown escaped, as pytest-xdist hands on UTF-8."""
    (repo / "test_it.py").write_text(
        textwrap.dedent(
            """
            import logging

            def test_fails():
                raise ValueError(chr(0xD800) + " in a message")

            def test_logs():
                logging.warning(chr(0xD800))
            """
        )
    )
    done = await forked(repo, "-p", "xdist.plugin", "-n", "1")
    assert "1 failed, 1 passed" in done.out, done.out
    assert r"\ud800 in a message" in done.out
