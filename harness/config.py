"""Frozen settings, and the only reader of `os.environ`.

| variable | what it sets | default |
| --- | --- | --- |
| `DATABASE_URL` | the Postgres to use | none: memory, or an embedded server for tests |
| `DATABASE_REQUIRED` | refuse to start without that database | `false` |
| `DATABASE_POOL_MIN_SIZE`, `DATABASE_POOL_MAX_SIZE` | connections of the pool | 2, 10 |
| `DATABASE_POOL_TIMEOUT_S` | how long a caller queues for a connection | 10 |
| `DATABASE_PREPARE_THRESHOLD` | runs before a statement is prepared; `none` for poolers | 5 |
| `HARNESS_POSTGRES` | where tests take a server from: `embedded` or `container` | `embedded` |
| `HARNESS_POSTGRES_IMAGE` | the image for `container` | `postgres:18` |
| `HARNESS_HOME` | folder of named embedded servers | the user's data folder |
| `HARNESS_RESULTS` | folder of results that the notebooks show | none: they measure anew |
| `HARNESS_MODEL` | the chat model of the graphs, as `provider:name` | none: a deterministic one |
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

import platformdirs
from psycopg import Error as PsycopgError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from harness.errors import ConfigError

Provisioner = Literal["embedded", "container"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """How to reach the database that a process stores in.

    Raises:
        ConfigError: A value cannot be used; the message names the setting and never the password.
    """

    url: str | None = field(default=None, repr=False)
    pool_min_size: int = 2
    pool_max_size: int = 10
    pool_timeout_s: float = 10.0
    """Seconds a caller queues for a connection before `Overloaded`."""
    prepare_threshold: int | None = 5
    """Executions after which psycopg prepares a statement; None behind a transaction pooler."""
    required: bool = False
    """Raise `DatabaseUnavailable` at start instead of falling back to memory."""

    def __post_init__(self) -> None:
        """Check every value before anything is opened."""
        if self.url is not None:
            check_url(self.url)
        if not 0 <= self.pool_min_size <= self.pool_max_size or self.pool_max_size < 1:
            raise ConfigError(
                "DATABASE_POOL_MIN_SIZE must be at least 0 and DATABASE_POOL_MAX_SIZE at least 1 "
                f"and no smaller, not {self.pool_min_size} and {self.pool_max_size}"
            )
        if not 0 < self.pool_timeout_s < math.inf:
            raise ConfigError(
                "DATABASE_POOL_TIMEOUT_S must be a number of seconds above 0, "
                f"not {self.pool_timeout_s}"
            )
        if self.prepare_threshold is not None and self.prepare_threshold < 0:
            raise ConfigError(
                f"DATABASE_PREPARE_THRESHOLD must be 0 or more, or none, "
                f"not {self.prepare_threshold}"
            )

    @property
    def is_configured(self) -> bool:
        """Whether there is a URL to connect to."""
        return self.url is not None

    @property
    def safe_url(self) -> str:
        """The connection string without its password, for messages and records."""
        return redact(self.url) if self.url else ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `DATABASE_*`; an empty variable counts as unset."""
        env = _Environment(environ)
        threshold = env.text("DATABASE_PREPARE_THRESHOLD")
        default = cls()
        return cls(
            url=env.text("DATABASE_URL"),
            pool_min_size=env.integer("DATABASE_POOL_MIN_SIZE", default.pool_min_size),
            pool_max_size=env.integer("DATABASE_POOL_MAX_SIZE", default.pool_max_size),
            pool_timeout_s=env.number("DATABASE_POOL_TIMEOUT_S", default.pool_timeout_s),
            prepare_threshold=(
                None
                if threshold is not None and threshold.lower() == "none"
                else env.integer("DATABASE_PREPARE_THRESHOLD", default.prepare_threshold or 0)
            ),
            required=env.flag("DATABASE_REQUIRED"),
        )

    @classmethod
    def for_scratch(cls, url: str, environ: Mapping[str, str] | None = None) -> Self:
        """Settings for a database that a test or a measurement made.

        The environment says whether a pooler stands before it; the rest are defaults, so that
        what one run finds can be compared with another.
        """
        return cls(url=url, prepare_threshold=cls.from_env(environ).prepare_threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionConfig:
    """Where tests and benchmarks take their Postgres from."""

    url: str | None = field(default=None, repr=False)
    """A server that is already there; comes before every other source."""
    provisioner: Provisioner = "embedded"
    image: str = "postgres:18"
    home: Path = field(default_factory=lambda: platformdirs.user_data_path("langgraph-harness"))
    """Folder of the named embedded servers that `harness db start` keeps."""

    def __post_init__(self) -> None:
        """Check the URL before anything connects to it."""
        if self.url is not None:
            check_url(self.url)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `DATABASE_URL` and `HARNESS_*`; an empty variable counts as unset."""
        env = _Environment(environ)
        home = env.text("HARNESS_HOME")
        return cls(
            url=env.text("DATABASE_URL"),
            provisioner=env.choice("HARNESS_POSTGRES", "embedded"),
            image=env.text("HARNESS_POSTGRES_IMAGE") or "postgres:18",
            home=Path(home) if home else platformdirs.user_data_path("langgraph-harness"),
        )


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


def in_ci(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a CI service runs this: `CI` is set, to anything but a word for no."""
    return (_Environment(environ).text("CI") or "false").lower() not in _FALSE


def results_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """The folder of results that `HARNESS_RESULTS` names; None: measure anew."""
    text = _Environment(environ).text("HARNESS_RESULTS")
    return Path(text) if text else None


def model_name(environ: Mapping[str, str] | None = None) -> str | None:
    """The chat model that `HARNESS_MODEL` names, as `provider:name`; None: the deterministic one.

    Raises:
        ConfigError: It is not of that form.
    """
    text = _Environment(environ).text("HARNESS_MODEL")
    if text is not None and not all(text.partition(":")):
        raise ConfigError(f"HARNESS_MODEL must be provider:name, not {text!r}")
    return text


def without_pytest(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a pytest of our own: nothing in it changes how pytest runs."""
    found = os.environ if environ is None else environ
    return {name: value for name, value in found.items() if not name.startswith("PYTEST_")}


class _Environment:
    """Typed reading of environment variables; each error names the variable."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._environ = os.environ if environ is None else environ

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def integer(self, name: str, default: int) -> int:
        text = self.text(name)
        try:
            return default if text is None else int(text)
        except ValueError as exc:
            raise ConfigError(f"{name} must be a whole number, not {text!r}") from exc

    def number(self, name: str, default: float) -> float:
        text = self.text(name)
        try:
            return default if text is None else float(text)
        except ValueError as exc:
            raise ConfigError(f"{name} must be a number, not {text!r}") from exc

    def flag(self, name: str) -> bool:
        text = (self.text(name) or "false").lower()
        if text not in _TRUE | _FALSE:
            raise ConfigError(f"{name} must be true or false, not {text!r}")
        return text in _TRUE

    def choice(self, name: str, default: Provisioner) -> Provisioner:
        text = self.text(name)
        for option in get_args(Provisioner):
            if text == option:
                return option  # type: ignore[no-any-return]  # get_args forgets the literal's type
        if text is not None:
            raise ConfigError(
                f"{name} must be one of {', '.join(get_args(Provisioner))}, not {text!r}"
            )
        return default
