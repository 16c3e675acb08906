"""A pytest plugin that tells, line by line, what became of each contract test.

`harness.measure.contract_run` loads it into the pytest that it starts, by `-p`, and reads the lines
from a pipe: first `{"total": n}`, then one `ContractOutcome` for each test, as JSON.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from harness.measure.crash import innermost, place_of
from harness.measure.records import ContractOutcome, Outcome

FOLDERS: Final = pytest.StashKey[Sequence[Path]]()
"""Where the code of what is asked lies, if that is known."""
_ERROR: Final = pytest.StashKey[BaseException]()

_MOST_LETTERS = 2_000
_STRICT = "[XPASS(strict)]"  # pytest's own word for it


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the pipe."""
    parser.addoption("--outcomes-fd", type=int, default=None, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    """Start telling, if there is a pipe."""
    descriptor = config.getoption("--outcomes-fd")
    if descriptor is not None:
        config.pluginmanager.register(_Teller(descriptor), "harness-outcomes")


class _Teller:
    """Writes a line when a test ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._items: dict[str, pytest.Item] = {}
        self._reports: dict[str, list[pytest.TestReport]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._items = {item.nodeid: item for item in session.items}
        self._tell({"total": len(self._items)})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo is not None and _ERROR not in item.stash:
            item.stash[_ERROR] = innermost(call.excinfo.value)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.setdefault(report.nodeid, []).append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        outcome = _outcome(self._items[nodeid], self._reports.pop(nodeid, []))
        self._tell(dataclasses.asdict(outcome))

    def _tell(self, what: dict[str, Any]) -> None:
        line = f"{json.dumps(what)}\n".encode()
        while line:
            line = line[os.write(self._descriptor, line) :]


def _outcome(item: pytest.Item, reports: list[pytest.TestReport]) -> ContractOutcome:
    """Sum up set-up, call and tear-down: the worst of them is the test's outcome."""
    found: Outcome = "passed"
    message = "; ".join(str(v) for name, v in item.user_properties if name == "refused")
    for report in reports:
        if report.failed and found != "failed":
            found, message = "failed", _why(report)
        elif report.skipped and hasattr(report, "wasxfail") and found == "passed":
            found, message = "differs", report.wasxfail
        elif report.skipped and found == "passed":
            found, message = "skipped", _why(report)
    backend = _backend(item)
    test = item.name
    if backend:
        test = test.replace(f"[{backend}]", "").replace(f"[{backend}-", "[")
    error = item.stash.get(_ERROR, None) if found == "failed" else None
    return ContractOutcome(
        backend=" on ".join(name for name in (_subject(item), backend) if name) or "none",
        contract=item.parent.name if item.parent is not None else "",
        test=test,
        invariants=sorted({int(n) for mark in item.iter_markers("invariant") for n in mark.args}),
        outcome=found,
        message=message[:_MOST_LETTERS],
        duration_s=sum(report.duration for report in reports),
        error="" if error is None else type(error).__qualname__,
        place="" if error is None else place_of(error, item.config.stash.get(FOLDERS, ())),
        asked=getattr(getattr(item, "function", None), "__doc__", None) or "",
        ours=item.get_closest_marker("ours") is not None,
    )


def _subject(item: pytest.Item) -> str:
    """What the test's class says that it asks, where that is more than a backend."""
    return str(getattr(getattr(item, "cls", None), "subject_name", ""))


def _backend(item: pytest.Item) -> str:
    """The backend that the plugin's `storage` fixture is of in this test, if it has one."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return str(parameters.get("storage_backend", ""))


def _why(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, str) and report.longrepr.startswith(_STRICT):
        declared = report.longrepr.removeprefix(_STRICT)
        return f"it passes now, and is still declared to differ:{declared}"
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message) if crash is not None else report.longreprtext
