"""Why a write found no row: one more read, after the fact, tells the errors apart."""

from psycopg.errors import UniqueViolation

from harness.database import Database
from harness.errors import Conflict, Forbidden, HarnessError, NotFound
from harness.models import SYSTEM

MAX_ATTEMPTS = 20
"""How often a call starts again because the rows it met were changed under it."""


async def refusal(
    database: Database, owners: str, kind: str, identity: str, *, owner: str
) -> HarnessError:
    """Return the error for a write to a row that is not the caller's.

    Args:
        database: Where to look.
        owners: A statement that selects the `owner` of the row with id `%(id)s`.
        kind: What the row is, for the message.
        identity: The id.
        owner: The caller.
    """
    rows = await database.read(owners, {"id": identity})
    if rows and rows[0]["owner"] == SYSTEM != owner:
        return read_only(kind, identity)
    return NotFound.of(kind, identity)


def read_only(kind: str, identity: str) -> Forbidden:
    """Return the error for a write to owner `system`'s row."""
    return Forbidden(f"{kind} {identity} belongs to owner {SYSTEM!r} and is read-only")


def taken(kind: str, identity: str) -> Conflict:
    """Return the error for an id that somebody, perhaps another owner, has already."""
    return Conflict(f"{kind} {identity} already exists")


def restless(kind: str, identity: str) -> Conflict:
    """Return the error for a row that others kept changing."""
    return Conflict(f"{kind} {identity} was changed by others {MAX_ATTEMPTS} times over; try again")


def key_of(error: UniqueViolation) -> str:
    """Return the id in a detail such as "Key (thread_id)=(…) already exists.", in any language."""
    _, _, rest = (error.diag.message_detail or "").partition("=(")
    return rest.partition(")")[0]
