"""A process that writes until somebody kills it: `python -m harness.faults.child LEDGER`.

It takes the database from `DATABASE_URL` and says how many writes were acknowledged, a line a turn,
so it also ends when nobody reads it any more.
"""

import asyncio
import sys
from pathlib import Path

from harness.config import DatabaseConfig
from harness.database import Database
from harness.faults.ledger import Ledger
from harness.faults.writers import Crew
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend


async def write_for_ever(ledger_path: Path) -> None:
    """Write with a crew; returns never, ends by a signal or by an error."""
    async with Database(DatabaseConfig.from_env(), name="child") as database:
        storage = LocalStorage(PostgresBackend(database))
        with Ledger(ledger_path) as ledger:
            async with Crew(storage, ledger) as crew:
                await crew.until(_tell)


def _tell(ledger: Ledger) -> bool:
    sys.stdout.write(f"{ledger.total('acknowledged')}\n")
    sys.stdout.flush()
    return False


def main() -> None:
    """Write for ever, as the command line says."""
    asyncio.run(write_for_ever(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
