"""A pytest plugin that writes which faults which tests have met, and how it went."""

import json
from pathlib import Path

import pytest


class Report:
    """Collects the outcomes of the tests that say which fault they were given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._met: list[dict[str, object]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what came of a test itself; a failed fixture is no answer."""
        if report.when == "call":
            self._met.append(
                {
                    **dict(report.user_properties),
                    "test": report.nodeid,
                    "failed": report.failed,
                }
            )

    def pytest_sessionfinish(self) -> None:
        """Write everything down."""
        self._path.write_text(json.dumps(self._met))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that says where to."""
    parser.addoption("--met", type=Path, required=True, help="file for what the faults have met")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the report."""
    config.pluginmanager.register(Report(config.getoption("met")))
