"""What each suite ends with: a database in which `harness db check` finds nothing."""

from harness.config import DatabaseConfig
from harness.database import Database
from harness.persistence.check import check_database


async def assert_whole(url: str) -> None:
    """Assert that a database has no fault."""
    async with Database(DatabaseConfig.for_scratch(url), name="check") as database:
        findings = await check_database(database)
    assert findings == [], findings
