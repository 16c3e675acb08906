"""Addresses of databases: refused when malformed, and shown without their passwords."""

from urllib.parse import urlsplit

from psycopg import Error as PsycopgError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from harness.errors import ConfigError


def check_url(url: str) -> None:
    """Refuse what libpq could not parse, without repeating it (it may hold a password).

    Raises:
        ConfigError: It is no `postgresql://` URL and no `key=value` connection string.
    """
    try:
        parts = conninfo_to_dict(url)
    except PsycopgError:
        parts = {}
    if not parts:
        raise ConfigError(
            "DATABASE_URL is not a Postgres address; write it as "
            "postgresql://user:password@host:5432/database"
        )
    if "://" in url and (urlsplit(url).netloc.count("@") > 1 or "@" in urlsplit(url).path):
        # libpq would take the rest of the password for a host or a database, and say it aloud.
        raise ConfigError("in DATABASE_URL, write @ as %40 and / as %2F within user and password")


def redact(url: str) -> str:
    """Return the connection string with its password left out."""
    parts = conninfo_to_dict(url)
    return make_conninfo("", **{k: v for k, v in parts.items() if k != "password"})
