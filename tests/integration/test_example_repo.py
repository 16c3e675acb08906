"""Another repo gets fixtures and contract by having the package installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "example_repo"


def run_example(folder: Path, *arguments: str) -> str:
    """Run pytest on a copy of the example repo, where nothing of this repo is beside it."""
    copy = shutil.copytree(EXAMPLE, folder / "repo", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(  # noqa: S603 -- this Python, arguments of this file
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_contract_of_another_storage(tmp_path: Path) -> None:
    """A storage, a server's URL, a LangGraph store and a checkpointer of its own go through."""
    output = run_example(tmp_path, "-m", "not postgres", "-v")
    assert "TestAuditedItems::test_journal PASSED" in output
    assert "TestAuditedNamespaces::" in output
    assert "test_storage_of_every_backend[memory] PASSED" in output
    assert "TestStore::test_numbers_compare_as_numbers PASSED" in output
    assert "TestStore::test_what_comes_out_is_a_copy XFAIL" in output
    assert "TestSaverHistory::" in output
    assert "TestServersNamespaces::test_max_depth PASSED" in output
    assert "[postgres]" not in output


@pytest.mark.slow
def test_failing_contract_shows_values(tmp_path: Path) -> None:
    """A contract that fails there explains itself: its assertions are rewritten."""
    copy = tmp_path / "broken"
    copy.mkdir()
    broken = (
        (EXAMPLE / "audited.py")
        .read_text()
        .replace(
            "await super().put_item(namespace, key, value,",
            'await super().put_item(namespace, key, {"lost": True},',
        )
    )
    shutil.copy(EXAMPLE / "pyproject.toml", copy)
    shutil.copy(EXAMPLE / "test_audited.py", copy)
    (copy / "audited.py").write_text(broken)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not postgres"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "{'lost': True} ==" in done.stdout


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_fixtures(tmp_path: Path, postgres_available: bool) -> None:
    """The Postgres fixtures work there too, and mark the tests that use them."""
    if not postgres_available:
        pytest.skip("no PostgreSQL can be had")
    output = run_example(tmp_path, "-m", "postgres", "-v", "--require-postgres")
    assert "test_database_of_its_own PASSED" in output
    assert "test_storage_of_every_backend[postgres] PASSED" in output
    assert "harness: PostgreSQL " in output
