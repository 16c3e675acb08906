"""Runs a shipped suite in a pytest of its own and yields what each test found, live."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from harness.config import without_pytest
from harness.errors import HarnessError
from harness.measure.decode import decode
from harness.measure.environment import collect
from harness.measure.paired import OnProgress
from harness.measure.records import ContractOutcome, Environment, Results
from harness.provision import PostgresServer

SUITE: Final = "harness.contract.suite"

_STOP_WAIT_S: Final = 15.0
_FAILED_TESTS: Final = 1
_LINE_LIMIT_BYTES: Final = 2**20
# The settings that the contract's classes ask for; whatever configuration lies around is not read,
# and of the plugins that are installed only those that the suites need are loaded.
_SETTINGS: Final = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
"""
_PLUGINS: Final = ("harness.pytest_plugin", "pytest_asyncio.plugin", "harness.measure.outcomes")
_ALONE: Final = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class ContractFailedToRun(HarnessError, RuntimeError):
    """The contract suite ended before it had asked everything."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One test more."""

    outcome: ContractOutcome
    done: int
    total: int


async def run_contract(
    backends: Sequence[str],
    *,
    suite: str = SUITE,
    log: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Progress, None]:
    """Run the suite and yield each outcome as it is known; close the generator to stop it.

    Args:
        backends: Whom to ask; none where the suite knows by itself.
        suite: Module of the tests.
        log: File for what pytest prints.
        arguments: More of pytest's, such as a marker expression.
        environment: Variables beside those of this process.

    Raises:
        ContractFailedToRun: pytest could not collect, was killed, or failed otherwise.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="harness-contract-") as folder:
        settings = await asyncio.to_thread(_write_settings, Path(folder))
        with log.open("wb") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *_command(suite, backends, settings, writing, arguments),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    pass_fds=[writing],
                    env={**without_pytest(), **_ALONE, **(environment or {})},
                    start_new_session=True,  # Ctrl-C is ours to pass on
                )
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)
        try:
            async with _lines(reading) as lines:
                total = 0
                done = 0
                async for line in lines:
                    told: dict[str, Any] = json.loads(line)
                    if "total" in told:
                        total = told["total"]
                    else:
                        done += 1
                        yield Progress(decode(ContractOutcome, told), done, total)
            code = await process.wait()
        finally:
            await asyncio.shield(_stop(process))
    if code not in {0, _FAILED_TESTS} or done < total or total == 0:
        raise ContractFailedToRun(
            f"{suite} ended early ({done} of {total} tests, exit status {code}): "
            f"{_last_words(log)}; all it said is in {log}"
        )


async def measure_contract(
    server: PostgresServer | None,
    backends: Sequence[str],
    *,
    quick: bool,
    log: Path,
    on_progress: OnProgress,
    into: list[ContractOutcome] | None = None,
) -> Results:
    """Run the suite and return what it found.

    Args:
        server: Where the suite makes its databases; None: it finds a server, if it needs one.
        backends: Whom to ask.
        quick: Leave out what takes seconds: the long random histories.
        log: File for what pytest prints.
        on_progress: Told after each test.
        into: Collects the outcomes, for whoever wants those of an interrupted run.

    Raises:
        ContractFailedToRun: The suite ended before it had asked everything.
    """
    outcomes = [] if into is None else into
    arguments = ["--require-postgres", *(("-m", "not slow and not survival") if quick else ())]
    environment = {} if server is None else {"DATABASE_URL": server.url}
    asking = run_contract(backends, log=log, arguments=arguments, environment=environment)
    async with contextlib.aclosing(asking) as asked:
        async for progress in asked:
            outcomes.append(progress.outcome)
            what = f"{progress.outcome.contract} on {progress.outcome.backend}"
            on_progress(progress.done, progress.total, what)
    return contract_results(outcomes, await collect(server))


def contract_results(
    outcomes: Sequence[ContractOutcome], environment: Environment, *, complete: bool = True
) -> Results:
    """Return outcomes as results, made now."""
    return Results(
        kind="contract",
        made_at=datetime.now(UTC),
        environment=environment,
        contract=list(outcomes),
        complete=complete,
    )


def _write_settings(folder: Path) -> Path:
    path = folder / "pytest.ini"
    path.write_text(_SETTINGS)
    return path


def _command(
    suite: str, backends: Sequence[str], settings: Path, descriptor: int, arguments: Sequence[str]
) -> list[str]:
    return [
        *(sys.executable, "-m", "pytest", "--pyargs", suite),
        *("-c", str(settings), f"--rootdir={settings.parent}"),
        *(f"-p{plugin}" for plugin in (*_PLUGINS, "no:cacheprovider")),
        *(f"--outcomes-fd={descriptor}", "-q", "--tb=short"),
        *(("--backend", ",".join(backends)) if backends else ()),
        *arguments,
    ]


@contextlib.asynccontextmanager
async def _lines(descriptor: int) -> AsyncGenerator[asyncio.StreamReader, None]:
    """Read a pipe without blocking the loop."""
    reader = asyncio.StreamReader(limit=_LINE_LIMIT_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    try:
        yield reader
    finally:
        transport.close()


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask pytest to stop as Ctrl-C would, so that it takes its servers along; then insist."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), _STOP_WAIT_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")
