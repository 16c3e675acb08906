"""One exception tree: every error that harness raises on purpose descends from `HarnessError`.

A class's docstring is its default message. A domain error also inherits the builtin that fits,
so that code which knows nothing of harness can still catch it.
"""

from typing import Any


class HarnessError(Exception):
    """The harness failed."""

    def __init__(self, message: str | None = None, *, public: str | None = None) -> None:
        super().__init__(message or self._default())
        self._public = public

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def public(self) -> str:
        """What a stranger may read of it: no address, no user, no word of the database's."""
        return self._public or str(self)

    @classmethod
    def _default(cls) -> str:
        return (cls.__doc__ or "").strip().splitlines()[0]


class DatabaseFailed(HarnessError):
    """The database failed."""

    @property
    def public(self) -> str:
        """As `HarnessError.public`; the message itself may name the database."""
        return self._public or self._default()


class InvalidInput(HarnessError, ValueError):
    """The input cannot be stored; nothing was written."""


class NotFound(HarnessError, KeyError):
    """There is no such thing, or it is not yours."""

    @classmethod
    def of(cls, kind: str, identity: Any) -> "NotFound":
        """Say what was looked for and under which id."""
        return cls(f"{kind} {identity} not found")


class Conflict(HarnessError, ValueError):
    """The change conflicts with what is already there; nothing was written."""


class Forbidden(HarnessError, PermissionError):
    """Rows of owner `system` are read-only for everybody else."""


class NoOwner(HarnessError, LookupError):
    """Nobody is known to own this call; put it into `with owner_scope("…"):`."""


class AsyncOnly(HarnessError, NotImplementedError):
    """This can only be called asynchronously."""


class GraphUnusable(HarnessError, ValueError):
    """The graph cannot be loaded or made."""


class LeaseLost(HarnessError, RuntimeError):
    """The lease on this run has passed to somebody else or has been given up."""


class Overloaded(DatabaseFailed, TimeoutError):
    """No database connection became free within the pool's timeout."""


class OutcomeUnknown(DatabaseFailed, ConnectionError):
    """The connection died after a write was sent; it may or may not have been applied."""


class DatabaseUnavailable(DatabaseFailed, ConnectionError):
    """The database cannot be reached."""


class SchemaMismatch(DatabaseFailed, RuntimeError):
    """The database's schema is not one that this version of harness can use."""


class Unreadable(HarnessError, ValueError):
    """What is stored cannot be read as what it was."""

    @classmethod
    def of(cls, cause: Exception) -> "Unreadable":
        """Say what went wrong while it was read."""
        return cls(f"stored bytes cannot be read ({type(cause).__name__}: {cause!s:.200})")


class ConfigError(HarnessError, ValueError):
    """A setting is wrong."""


class ProvisionError(HarnessError, RuntimeError):
    """No PostgreSQL server could be started."""


class ResultsError(HarnessError, ValueError):
    """A results file cannot be used."""
