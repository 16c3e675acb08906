"""Runs pgbench, the floor that has no Python in it."""

import asyncio
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from harness.errors import ProvisionError, ResultsError
from harness.measure.floors.sql import block
from harness.measure.rows import Resource
from harness.provision.binaries import find_binaries

_TPS: Final = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)
_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "options": "PGOPTIONS",
}


def find_pgbench() -> Path | None:
    """Return the program that comes with the embedded server, or one on the path, or None."""
    try:
        return find_binaries(None)["pgbench"]
    except ProvisionError:
        found = shutil.which("pgbench")
        return Path(found) if found else None


async def run_pgbench(program: Path, url: str, resource: Resource, transactions: int) -> float:
    """Return the seconds that one client takes for so many inserts, connecting not included.

    Statements are prepared (`-M prepared`), each is its own transaction.

    Raises:
        ResultsError: pgbench failed; the message is its own.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sql", prefix="harness-") as script:
        script.write(block("pgbench", f"create_{resource}"))
        script.flush()
        process = await asyncio.create_subprocess_exec(
            program,
            *("--no-vacuum", "--protocol=prepared", "--client=1", "--jobs=1", "--define=n=-1"),
            *(f"--transactions={transactions}", f"--file={script.name}"),
            env=_environment(url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
    found = _TPS.search(output.decode())
    if process.returncode != 0 or found is None:
        raise ResultsError(f"pgbench failed: {' '.join(errors.decode().split())}")
    return transactions / float(found[1])


def _environment(url: str) -> dict[str, str]:
    """Return libpq's variables for a connection string: a password must not stand in `ps`."""
    parts = conninfo_to_dict(url)
    return {_VARIABLES[name]: str(value) for name, value in parts.items() if name in _VARIABLES}
