"""Finds a subject by what a user calls it."""

from harness.errors import ConfigError
from harness.subjects.factory import named
from harness.subjects.known import known
from harness.subjects.subject import Subject


def find(name: str) -> Subject:
    """Return a known subject, or the one that a factory makes: `package.module:attribute`.

    Raises:
        ConfigError: There is no such subject; says what to do.
    """
    if name.startswith(("http://", "https://")):
        raise ConfigError(
            f"{name} is a server's address: `verify` judges checkpointers and stores; ask a server "
            "through harness.storage.remote.RemoteStorage, as the README shows"
        )
    return named(name) if ":" in name else known(name)
