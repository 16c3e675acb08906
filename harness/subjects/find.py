"""Finds a subject by what a user calls it."""

from harness.subjects.factory import named
from harness.subjects.known import known
from harness.subjects.subject import Subject


def find(name: str) -> Subject:
    """Return a known subject, or the one that a factory makes: `package.module:attribute`.

    Raises:
        ConfigError: There is no such subject; says what to do.
    """
    return named(name) if ":" in name else known(name)
