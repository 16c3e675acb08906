"""The report: executed notebooks in one file that asks nobody for anything."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient

from harness.analysis.summary import summarise
from harness.commands.folders import NOTEBOOKS, notebooks_folder
from harness.contract.promises import CONTRACT_PROMISES
from harness.errors import ResultsError
from harness.measure.environment import collect
from harness.measure.records import ContractOutcome, Results, save

LOADING = {
    "src",
    "srcset",
    "poster",
    "data",
    "action",
    "background",
    "xlink:href",
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Loads(HTMLParser):
    """Collects everything that a browser would load, and every id."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element loads."""
        for name, value in attrs:
            text = value or ""
            if name in LOADING or (name == "href" and tag not in {"a", "area"}):
                self.loaded.append(text)
            if name == "style":
                self._css(text)
            if name == "id":
                self.ids.append(text)
        self.scripts += tag == "script"
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        """Note that a style sheet ends."""
        if tag == "style":
            self._style = False

    def handle_data(self, data: str) -> None:
        """Note what a style sheet loads."""
        if self._style:
            self._css(data)

    def _css(self, text: str) -> None:
        self.loaded += [part for part in ("@import", "url(") if part in text]


def notebook(tmp_path: Path, *sources: str) -> Path:
    """A notebook of code cells."""
    path = tmp_path / "some.ipynb"
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document))
    return path


async def execute(path: Path, **how: Any) -> Any:
    """Execute a notebook; nbformat takes seconds to import, which not every worker is to spend."""
    from harness.analysis.execute import execute  # noqa: PLC0415 -- see above

    return await execute(path, **how)


def render(chapters: Sequence[tuple[Any, ...]], **about: Any) -> str:
    """Make a report of chapters; imports what it needs as `execute` does."""
    from harness.analysis.report import Chapter, render  # noqa: PLC0415 -- see above

    return render([Chapter(*chapter) for chapter in chapters], **about)


def children() -> set[int]:
    """The processes that this one has started and not yet collected."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.fixture(scope="module")
def outcomes() -> list[ContractOutcome]:
    """Every promise asked of both backends; one is broken on one of them, by <b>markup</b>."""
    kept = [
        ContractOutcome(
            backend=backend,
            contract="TestThreads",
            test=f"test_{number}",
            invariants=[number],
            outcome="passed",
            message="",
            duration_s=0.01,
        )
        for backend in ("memory", "postgres")
        for number in CONTRACT_PROMISES
    ]
    return [*kept, replace(kept[-1], outcome="failed", message="<script>alert(1)</script>")]


@pytest.fixture(scope="module")
async def contract(outcomes: list[ContractOutcome]) -> Results:
    """Those outcomes as results of this machine."""
    return Results(
        kind="contract",
        made_at=datetime.now(UTC),
        environment=await collect(None),
        contract=outcomes,
    )


@pytest.fixture(scope="module")
async def report(contract: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of the contract's notebook, executed on them."""
    folder = tmp_path_factory.mktemp("results")
    save(contract, folder)
    name, file, _ = NOTEBOOKS[0]
    document = await execute(
        notebooks_folder() / file,
        environment={"HARNESS_RESULTS": str(folder)},
        folder=folder,
    )
    return render(
        [(name, document)],
        summary=summarise([contract]),
        environment=contract.environment,
        made="now",
    )


@pytest.mark.slow
async def test_nothing_is_loaded_from_anywhere(report: str) -> None:
    """Pictures are data URIs, styles are inside, scripts there are none, and ids are unique."""
    page = Loads()
    page.feed(report)
    assert page.loaded
    assert all(address.startswith("data:image/png;base64,") for address in page.loaded)
    assert page.scripts == 0
    assert "default-src 'none'" in report
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.slow
async def test_it_says_what_was_found(report: str) -> None:
    """The broken promise is the headline; a failure's message is text and never markup."""
    number = CONTRACT_PROMISES[-1]
    assert f'<p class="lead">postgres breaks 1 promise ({number})</p>' in report
    assert "&lt;script&gt;alert(1)" in report
    assert 'alt="postgres breaks' in report
    assert "Traceback" not in report


@pytest.mark.slow
async def test_a_notebook_that_fails_is_in_the_report_with_its_reason(
    tmp_path: Path, contract: Results
) -> None:
    """What it showed before stays, and why it stopped stands above it."""
    from harness.analysis.execute import NotebookFailed  # noqa: PLC0415 -- as in `execute`

    path = notebook(tmp_path, "print('before')", "1 / 0", "print('after')")
    before = children()
    with pytest.raises(NotebookFailed, match="ZeroDivisionError") as caught:
        await execute(path, environment={})
    assert children() <= before
    text = render(
        [("some", caught.value.document, str(caught.value))],
        summary=summarise([contract]),
        environment=None,
        made="now",
    )
    assert "some.ipynb stopped: ZeroDivisionError: division by zero" in text
    assert "before" in text


@pytest.mark.slow
async def test_the_kernel_is_this_interpreter_and_sees_the_environment(tmp_path: Path) -> None:
    """No installed kernelspec is asked; the file on disk is not touched; top-level await works."""
    source = "import asyncio, os, sys\nawait asyncio.sleep(0)\nprint(sys.prefix, os.environ['A_B'])"
    path = notebook(tmp_path, source)
    text = path.read_text()
    document: Any = await execute(path, environment={"A_B": "c"})
    assert document.cells[0].outputs[0].text == f"{sys.prefix} c\n"
    assert path.read_text() == text


async def test_stopped_as_its_kernel_starts_it_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread goes on, or dies of its kernel's end; what the client started is stopped whole."""
    path = notebook(tmp_path, "print('never')")
    threads, processes = set(threading.enumerate()), children()
    start_channels = AsyncKernelClient.start_channels

    def start_and_stop(self: AsyncKernelClient, *channels: bool) -> None:
        start_channels(self, *channels)
        executing.cancel()

    monkeypatch.setattr(AsyncKernelClient, "start_channels", start_and_stop)
    for _ in range(2):
        executing = asyncio.create_task(execute(path, environment={}))
        with pytest.raises(asyncio.CancelledError):
            await executing
    assert set(threading.enumerate()) <= threads
    assert children() <= processes


async def test_what_is_no_notebook_is_said_in_one_line(tmp_path: Path) -> None:
    """A broken file is named, without a traceback of nbformat's."""
    path = tmp_path / "broken.ipynb"
    path.write_text("{")
    with pytest.raises(ResultsError, match=r"broken\.ipynb cannot be read as a notebook"):
        await execute(path, environment={})


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Path]:
    """A new browser profile, removed afterwards."""
    folder = tmp_path / "profile"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_real_browser_shows_it(report: str, tmp_path: Path, profile: Path) -> None:
    """Headless chromium opens the file without a network, and draws something."""
    page = tmp_path / "report.html"
    page.write_text(report)
    shown = subprocess.run(  # noqa: S603 -- the browser of this machine
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--window-size=400,3000",
            f"--screenshot={tmp_path / 'shot.png'}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "Refused to" not in shown.stderr
    assert (tmp_path / "shot.png").stat().st_size > 50_000
