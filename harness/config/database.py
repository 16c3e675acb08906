"""How to reach the database that a process stores in, and where tests take theirs from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

import platformdirs

from harness.config.address import check_url, redact
from harness.config.environment import Environment
from harness.errors import ConfigError

_MAX_S = 86_400
Provisioner = Literal["embedded", "container"]


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
    statement_timeout_s: float | None = 30.0
    """Seconds after which the server gives a statement up; None: never. Behind a transaction
    pooler (`prepare_threshold=None`) connections keep no settings: set it for the role there."""
    connections_per_owner: int | None = None
    """Connections that one owner's requests and runs have at most; None: as many as there are."""
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
        if self.statement_timeout_s is not None and not 0 < self.statement_timeout_s <= _MAX_S:
            raise ConfigError(
                "DATABASE_STATEMENT_TIMEOUT_S must be seconds above 0, at most a day, or none, "
                f"not {self.statement_timeout_s}"
            )
        if self.connections_per_owner is not None and self.connections_per_owner < 1:
            raise ConfigError(
                f"connections_per_owner must be 1 or more, not {self.connections_per_owner}"
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
    def session_timeout_s(self) -> float | None:
        """What each connection bounds its statements by; None: by nothing of ours."""
        return None if self.prepare_threshold is None else self.statement_timeout_s

    @property
    def safe_url(self) -> str:
        """The connection string without its password, for messages and records."""
        return redact(self.url) if self.url else ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `DATABASE_*`; an empty variable counts as unset."""
        env = Environment(environ)
        threshold = env.text("DATABASE_PREPARE_THRESHOLD")
        timeout = env.text("DATABASE_STATEMENT_TIMEOUT_S")
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
            statement_timeout_s=(
                None
                if timeout is not None and timeout.lower() == "none"
                else env.number("DATABASE_STATEMENT_TIMEOUT_S", default.statement_timeout_s or 0)
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
        env = Environment(environ)
        home = env.text("HARNESS_HOME")
        return cls(
            url=env.text("DATABASE_URL"),
            provisioner=env.choice("HARNESS_POSTGRES", "embedded", get_args(Provisioner)),
            image=env.text("HARNESS_POSTGRES_IMAGE") or "postgres:18",
            home=Path(home) if home else platformdirs.user_data_path("langgraph-harness"),
        )
