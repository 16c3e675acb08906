"""The command line, as a person types it: real processes, real servers, real results."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from harness.measure.records import load, newest
from tests.integration.forked.process import Ended, run

MARK = "HARNESS_TEST_MARK"
"""A variable that every descendant of a command inherits, whatever session it is in."""


def inherited() -> dict[str, str]:
    """Return this process's environment, without what decides where `harness` stores."""
    return {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "CI"}}


async def start(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start `harness` with these arguments, as a shell does."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from harness.cli import main; main()",
        *arguments,
        cwd=cwd,
        env={**inherited(), **(environment or {}), MARK: str(cwd)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def harness(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run `harness` to its end, as a shell does."""
    process = await start(*arguments, cwd=cwd, environment=environment)
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def forked(*arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> Ended:
    """Run `harness` to its end, in a process that need not import it."""
    env = {**inherited(), **(environment or {})}
    return await run("harness.cli:main", *arguments, env=env, cwd=cwd)


async def until_told(process: asyncio.subprocess.Process, start_of_line: bytes) -> None:
    """Read what a command prints until a line begins so."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(start_of_line):
            return
    raise AssertionError(f"it ended without saying {start_of_line!r}")


def left_running(cwd: Path) -> list[str]:
    """Every process that descends from a command started there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(cwd):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def until_kernels_run(cwd: Path) -> None:
    """Wait until a command started there has started a notebook's kernel."""
    deadline_s = time.monotonic() + 120
    while not any("ipykernel" in line for line in left_running(cwd)):
        assert time.monotonic() < deadline_s, "no kernel started"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["run", "--backend", "oracle"],
            2,
            "--backend does not know 'oracle'; use memory or postgres",
        ),
        (["bench", "--only", "contract"], 2, "--only does not know 'contract'; use timings, pool"),
        (["verify", "--backend", ","], 2, "--backend names nothing"),
        (["bench", "--out", ""], 2, "--out names no folder"),
        (["run", "--quick", "--full"], 2, "--quick and --full exclude each other"),
        (["bench", "--out", "/dev/null/x"], 1, "cannot write results to /dev/null/x"),
    ],
)
async def test_nonsense_gets_one_line(
    arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    """What is wrong and what to do, on standard error, and nothing is made."""
    ended = await forked(*arguments, cwd=tmp_path)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(f"harness: {says}")
    assert ended.err.count("\n") == 1
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- blocking paths are not for coroutines


async def test_a_malformed_url_gets_one_line_without_the_password(tmp_path: Path) -> None:
    """A wrong DATABASE_URL is refused before anything is measured."""
    ended = await harness(
        "bench", "--quick", cwd=tmp_path, environment={"DATABASE_URL": "postgres:secret@nowhere"}
    )
    assert ended.code == 1
    assert ended.err.startswith("harness: DATABASE_URL is not a Postgres address")
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err + ended.out


@pytest.mark.parametrize(
    "variable",
    [
        "DATABASE_REQUIRED",
        pytest.param("DATABASE_POOL_MAX_SIZE", marks=pytest.mark.slow),
        pytest.param("DATABASE_PREPARE_THRESHOLD", marks=pytest.mark.slow),
    ],
)
async def test_a_setting_that_makes_no_sense_gets_one_line(variable: str, tmp_path: Path) -> None:
    """It is named before anything is made or measured."""
    ended = await forked("run", "--quick", cwd=tmp_path, environment={variable: "nonsense"})
    assert ended.code == 1
    assert ended.err.startswith(f"harness: {variable} must be ")
    assert ended.err.count("\n") == 1
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- blocking paths are not for coroutines


@pytest.mark.parametrize("command", ["run", "verify", "bench", "serve", "notebook", "db"])
async def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    """`--help` names what the command does."""
    ended = await forked(command, "--help", cwd=tmp_path)
    assert ended.code == 0
    assert f"harness {command}" in ended.out


@pytest.mark.slow
async def test_it_starts_at_once(tmp_path: Path) -> None:
    """What takes seconds to import is imported by the command that needs it."""
    source = (
        "import harness.cli, sys; print({'langgraph', 'pandas', 'nbformat'} & set(sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", source), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out == b"set()\n"


async def test_a_database_that_is_not_there_gets_one_line(tmp_path: Path) -> None:
    """It is the address that is wrong, and no promise that is broken."""
    ended = await forked(
        "verify",
        cwd=tmp_path,
        environment={"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/nothing"},
    )
    assert ended.code == 1
    assert ended.err.startswith("harness: no PostgreSQL answers at ")
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err + ended.out


@pytest.mark.slow
async def test_two_runs_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    """Each asks everything, whatever pytest settings lie around, and has a folder of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    ended = await asyncio.gather(
        *(harness("verify", "--quick", "--backend", "memory", cwd=tmp_path) for _ in range(2))
    )
    folders = [path for path in (tmp_path / "results").iterdir() if not path.is_symlink()]
    assert len(folders) == 2
    for end, folder in zip(ended, folders, strict=True):
        assert end.code == 0, end.err + end.out
        assert "memory keeps all" in end.out
        path = newest(folder, "contract")
        assert path is not None
        found = load(path)
        assert found.complete
        assert len(found.contract) > 100
        assert {outcome.backend for outcome in found.contract} == {"memory"}
    assert (tmp_path / "results" / "latest").resolve() in folders
    assert left_running(tmp_path) == []


@pytest.mark.slow
async def test_a_broken_promise_is_named_and_is_exit_status_1(tmp_path: Path) -> None:
    """A memory backend that deletes no thread is caught under the promise that it breaks."""
    (tmp_path / "sitecustomize.py").write_text(
        "from harness.storage.memory.threads import MemoryThreads\n"
        "async def keep(self, thread_id, *, owner): pass\n"
        "MemoryThreads.delete = keep\n"
    )
    ended = await harness(
        "verify",
        "--quick",
        "--backend",
        "memory",
        cwd=tmp_path,
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert ended.code == 1
    headline = next(line for line in ended.out.splitlines() if "memory breaks" in line)
    assert "38" in headline


@pytest.mark.slow
@pytest.mark.postgres
async def test_ctrl_c_in_the_contract_keeps_the_outcomes_so_far(tmp_path: Path) -> None:
    """SIGINT to `run`: what was asked is kept and marked as unfinished; every process is gone."""
    process = await start("run", "--quick", cwd=tmp_path)
    await until_told(process, b"contract: ")
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    folder = (tmp_path / "results" / "latest").resolve()
    assert err.decode().endswith(f"Interrupted. What was measured lies in {folder}\n")
    path = newest(folder, "contract")
    assert path is not None
    found = load(path)
    assert found.contract
    assert not found.complete
    assert left_running(tmp_path) == []


@pytest.mark.slow
@pytest.mark.postgres
async def test_being_terminated_in_a_measurement_keeps_the_samples_so_far(tmp_path: Path) -> None:
    """SIGTERM counts as Ctrl-C: the server is stopped, and nothing else is measured."""
    process = await start("bench", "--quick", cwd=tmp_path)
    await until_told(process, b"timings: ")
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 130
    folder = tmp_path / "results" / "latest"
    path = newest(folder, "timings")
    assert path is not None
    assert not load(path).complete
    assert newest(folder, "pool") is None
    assert left_running(tmp_path) == []


@pytest.mark.slow
async def test_ctrl_c_in_the_notebooks_keeps_the_results(tmp_path: Path) -> None:
    """Kernels are ended and no notebook is said to have failed; what was measured is kept."""
    process = await start("run", "--quick", "--backend=memory", "--only=timings,pool", cwd=tmp_path)
    await until_told(process, b"notebooks: 0 of")
    await asyncio.to_thread(until_kernels_run, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130, err.decode()
    folder = (tmp_path / "results" / "latest").resolve()
    assert err.decode() == f"Interrupted. What was measured lies in {folder}\n"
    assert b"Notebook failed" not in out
    assert newest(folder, "timings") is not None
    assert newest(folder, "streaming") is None
    assert left_running(tmp_path) == []


@pytest.mark.slow
async def test_notebook_opens_jupyterlab_on_the_notebooks(tmp_path: Path) -> None:
    """Arguments go through to JupyterLab; asked for its version it tells it and ends."""
    ended = await harness("notebook", "--version", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.out.strip().startswith("4.")
