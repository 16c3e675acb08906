"""What a run says of its server and machine, once it is known that tests will use them."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.servers import SHARED_SERVER

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_WORKERS = pytest.StashKey[list[str]]()
_OUTPUT = "harness_server"


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Name server, version, provisioner, fsync and CPU, where a selected test needs a server."""
    if config.getoption("collectonly") or not any(
        item.get_closest_marker("postgres") for item in items
    ):
        return []
    shared = config.stash[SHARED_SERVER]
    shared.get()
    return [f"harness: {shared.describe()}", f"harness: {_machine()}"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """As a worker of pytest-xdist, tell the controller about this process's server."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_OUTPUT] = session.config.stash[SHARED_SERVER].describe()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape what no encoding knows, lest a test's odd text end the worker that reports it."""
    return _encodable((yield))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """As the controller of pytest-xdist, keep what a worker told."""
    line = getattr(node, "workeroutput", {}).get(_OUTPUT)
    if line is not None:
        node.config.stash.setdefault(_WORKERS, []).append(line)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the workers' servers; only now does the controller know them."""
    lines = config.stash.get(_WORKERS, [])
    for line in sorted(set(lines)):
        terminalreporter.write_line(f"harness: {lines.count(line)} x {line}")
    if lines:
        terminalreporter.write_line(f"harness: {_machine()}")


def _encodable(data: Any) -> Any:
    """Return a report's data with lone surrogates escaped."""
    if isinstance(data, str):
        return data.encode(errors="backslashreplace").decode()
    if isinstance(data, dict):
        return {_encodable(key): _encodable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_encodable(each) for each in data]
    if isinstance(data, tuple):
        return tuple(_encodable(each) for each in data)
    return data


def _machine() -> str:
    """Return the CPU's name and count; py-cpuinfo would take a second to find out."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = named[0].partition(":")[2].strip() if named else name
    return f"{name}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
