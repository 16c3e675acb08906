"""Collects what a measurement ran on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg.rows import dict_row

from harness.errors import DatabaseUnavailable
from harness.measure.records import Environment, PostgresSettings
from harness.provision import PostgresServer

LIBRARIES: Final = (
    "langgraph",
    "langgraph-checkpoint-postgres",
    "langgraph-persistence-harness",
    "langgraph-sdk",
    "orjson",
    "psycopg",
    "psycopg-binary",
    "psycopg-pool",
    "uuid-utils",
)
"""The distributions whose code a measurement runs through."""

_SETTINGS: Final = ("fsync", "synchronous_commit", "shared_buffers", "max_connections")


async def collect(server: PostgresServer | None) -> Environment:
    """Return what this process runs on, and the server's settings if there is a server.

    Raises:
        DatabaseUnavailable: The server does not answer.
    """
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        libraries={name: version(name) for name in LIBRARIES},
        postgres=None if server is None else await _settings(server),
    )


async def _settings(server: PostgresServer) -> PostgresSettings:
    shown: dict[str, str] = {}
    try:
        connection = await psycopg.AsyncConnection.connect(
            server.url, autocommit=True, prepare_threshold=None, row_factory=dict_row
        )
        async with connection:
            for name in _SETTINGS:
                cursor = await connection.execute(f"SHOW {name}")
                shown |= await cursor.fetchone() or {}
    except psycopg.Error as exc:
        raise DatabaseUnavailable(f"cannot read the server's settings: {exc}") from exc
    return PostgresSettings(
        version=server.version,
        provisioner=server.provisioner,
        location=server.location,
        **shown,
    )


def cpu_model() -> str:
    """Return the processor's name as the system tells it; its architecture where it does not."""
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        name = asked.stdout.strip()
    else:
        name = _proc_cpuinfo(Path("/proc/cpuinfo"))
    return name or platform.machine()


def _proc_cpuinfo(path: Path) -> str:
    if not path.exists():
        return ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        field, _, value = line.partition(":")
        if field.strip() == "model name":
            return value.strip()
    return ""
