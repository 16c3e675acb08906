"""How the agent server listens, whom it believes, and how much it takes on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from harness.config.environment import Environment
from harness.errors import ConfigError

_LEAST_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Settings of `harness serve`.

    Raises:
        ConfigError: A value cannot be used; the message names the setting and never a secret.
    """

    host: str = "127.0.0.1"
    port: int = 8123
    graphs: Path | None = None
    """A `langgraph.json`; None: the agents that come with harness."""
    insecure: bool = False
    """Serve others than this machine without authentication."""
    jwt_secret: str | None = field(default=None, repr=False)
    """Secret of HS256 tokens, as Supabase signs them; 32 bytes at least."""
    jwt_public_key: str | None = field(default=None, repr=False)
    """Public key of RS256 tokens, in PEM."""
    jwt_audience: str | None = None
    """What `aud` must be; None: it is not looked at."""
    max_body_bytes: int = 16 * 2**20
    max_streams: int = 200
    """Open event streams: each holds a thread of the HTTP server, which has 256."""
    concurrency: int = 20
    """Runs that are executed at the same time; 0: none, other processes execute them."""
    lease_s: float = 30.0
    """After which a run whose process has died is taken up by another."""
    heartbeat_s: float = 5.0
    """Between two signs of life on a stream where nothing happens."""
    grace_s: float = 10.0
    """Given to runs and streams when the server is told to end."""

    def __post_init__(self) -> None:
        """Check every value before anything is opened."""
        if not 0 <= self.port < 2**16:
            raise ConfigError(f"the port must lie between 0 and 65535, not at {self.port}")
        for name, least in (("max_body_bytes", 1), ("max_streams", 1), ("concurrency", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be {least} or more, not {getattr(self, name)}")
        for name in ("lease_s", "heartbeat_s", "grace_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be seconds above 0, not {getattr(self, name)}")
        if self.jwt_secret is not None and self.jwt_public_key is not None:
            raise ConfigError("set HARNESS_JWT_SECRET or HARNESS_JWT_PUBLIC_KEY, not both")
        if self.jwt_secret is not None and len(self.jwt_secret.encode()) < _LEAST_SECRET_BYTES:
            raise ConfigError(f"HARNESS_JWT_SECRET must have {_LEAST_SECRET_BYTES} bytes or more")
        if not self.authenticates and not self.insecure and not _is_loopback(self.host):
            raise ConfigError(
                f"{self.host} can be reached by others, who could read and write everything; set "
                "HARNESS_JWT_SECRET or HARNESS_JWT_PUBLIC_KEY, or say --insecure"
            )

    @property
    def authenticates(self) -> bool:
        """Whether callers must show a token."""
        return self.jwt_secret is not None or self.jwt_public_key is not None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **given: object) -> Self:
        """Read `HARNESS_*`; what is given otherwise, and is not None, comes first."""
        env = Environment(environ)
        key = env.text("HARNESS_JWT_PUBLIC_KEY")
        default = cls()
        found: dict[str, object] = {
            "jwt_secret": env.text("HARNESS_JWT_SECRET"),
            "jwt_public_key": key and key.replace("\\n", "\n"),
            "jwt_audience": env.text("HARNESS_JWT_AUDIENCE"),
            "max_body_bytes": env.integer("HARNESS_MAX_BODY_BYTES", default.max_body_bytes),
            "max_streams": env.integer("HARNESS_MAX_STREAMS", default.max_streams),
            "concurrency": env.integer("HARNESS_CONCURRENCY", default.concurrency),
            "lease_s": env.number("HARNESS_LEASE_S", default.lease_s),
            "heartbeat_s": env.number("HARNESS_HEARTBEAT_S", default.heartbeat_s),
            "grace_s": env.number("HARNESS_GRACE_S", default.grace_s),
        }
        found |= {name: value for name, value in given.items() if value is not None}
        return cls(**found)  # type: ignore[arg-type]  # the class checks each


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
