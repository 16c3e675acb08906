"""How the agent server listens, whom it believes, and how much it takes on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Literal, Self

from harness.config.cors import Cors
from harness.config.deployment import Deployment
from harness.config.environment import FALSE, Environment
from harness.config.ttl import ItemTtlConfig, ThreadTtlConfig
from harness.errors import ConfigError

_LEAST_SECRET_BYTES: Final = 32
_ANY: Final = "any"
_COUNTS: Final = (
    "max_body_bytes",
    "max_streams",
    "concurrency",
    "max_recursion_limit",
    "max_filter_terms",
    "max_answer_bytes",
    "max_event_bytes",
    "max_unwritten",
    "max_unwritten_bytes",
)
"""Settings that are whole numbers; each is read from `HARNESS_` and its name in capitals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Settings of `harness serve`.

    Raises:
        ConfigError: A value cannot be used; the message names the setting and never a secret.
    """

    host: str = "127.0.0.1"
    port: int = 8123
    deployment: Deployment | None = None
    """What a `langgraph.json` asks for; None: the agents that come with harness."""
    insecure: bool = False
    """Serve others than this machine without authentication."""
    with_parent: bool = False
    """End when standard input does: with the process that holds its other end."""
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
    owner_share: float = 0.5
    """Part that one owner has at most: of the places for runs and of the streams that others leave,
    of the database's connections, and of kept events. One of each is always allowed. Without
    authentication there is one owner, who has all."""
    max_recursion_limit: int = 10_007
    """Supersteps that a run may ask for; the default is LangGraph's own."""
    max_filter_terms: int = 2_000
    """Names, and elements of lists, in all that a search is asked for together."""
    max_answer_bytes: int = 64 * 2**20
    """The largest answer that is not a stream."""
    max_event_bytes: int = 256 * 2**20
    """What is kept of events for those who read along or come back, in all."""
    max_unwritten: int = 32
    """Checkpoints of a run that wait to be written before the run waits for them."""
    max_unwritten_bytes: int = 32 * 2**20
    """What they may hold together."""
    lease_s: float = 30.0
    """After which a run whose process has died is taken up by another."""
    heartbeat_s: float = 5.0
    """Between two signs of life on a stream where nothing happens."""
    grace_s: float = 10.0
    """Given to runs and streams when the server is told to end."""
    revived: frozenset[tuple[str, str]] | Literal[True] = frozenset()
    """Modules and names of classes that checkpoints may hold beyond those of graphs' schemas; True:
    any, so that whoever can write to the database can run code in the server."""
    cors: Cors | None = None
    """Which web pages may read answers; None: those of this server's own origin only."""
    webhook_hosts: frozenset[str] | None = None
    """Hosts that webhooks may call, in lower case; None: any, the server's own network too."""
    thread_ttl: ThreadTtlConfig = field(default_factory=ThreadTtlConfig)
    item_ttl: ItemTtlConfig = field(default_factory=ItemTtlConfig)

    def __post_init__(self) -> None:
        """Check every value before anything is opened."""
        if not 0 <= self.port < 2**16:
            raise ConfigError(f"the port must lie between 0 and 65535, not at {self.port}")
        for name in _COUNTS:
            least = 0 if name == "concurrency" else 1
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be {least} or more, not {getattr(self, name)}")
        if not 0 < self.owner_share <= 1:
            raise ConfigError(f"owner_share must be above 0 and at most 1, not {self.owner_share}")
        for name in ("lease_s", "heartbeat_s", "grace_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be seconds above 0, not {getattr(self, name)}")
        self._check_callers()

    def _check_callers(self) -> None:
        """Check that who calls can be told, by one of the ways to tell it."""
        if self.jwt_secret is not None and self.jwt_public_key is not None:
            raise ConfigError("set HARNESS_JWT_SECRET or HARNESS_JWT_PUBLIC_KEY, not both")
        if self.jwt_secret is not None and len(self.jwt_secret.encode()) < _LEAST_SECRET_BYTES:
            raise ConfigError(f"HARNESS_JWT_SECRET must have {_LEAST_SECRET_BYTES} bytes or more")
        if self.has_jwt_key and self.deployment is not None and self.deployment.auth is not None:
            raise ConfigError(
                "set HARNESS_JWT_SECRET or HARNESS_JWT_PUBLIC_KEY, or `auth` in a langgraph.json, "
                "but not both: one of them has to tell who calls"
            )
        if not self.authenticates and not self.insecure and not _is_loopback(self.host):
            raise ConfigError(
                f"{self.host} can be reached by others, who could read and write everything; set "
                "HARNESS_JWT_SECRET or HARNESS_JWT_PUBLIC_KEY, or `auth` in a langgraph.json, or "
                "say --insecure"
            )

    @property
    def authenticates(self) -> bool:
        """Whether callers must show who they are."""
        return self.has_jwt_key or (
            self.deployment is not None and self.deployment.auth is not None
        )

    @property
    def has_jwt_key(self) -> bool:
        """Whether callers must show a signed token."""
        return self.jwt_secret is not None or self.jwt_public_key is not None

    def share_of(self, total: int) -> int:
        """Return how many of so many one owner may have."""
        return max(int(total * self.part_of_owner), 1)

    @property
    def part_of_owner(self) -> float:
        """`owner_share`, where owners are told apart."""
        return self.owner_share if self.authenticates else 1.0

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        deployment: Deployment | None = None,
        **given: object,
    ) -> Self:
        """Read `HARNESS_*`; what is given otherwise, and is not None, comes first.

        Args:
            environ: The environment; None: this process's.
            deployment: What a `langgraph.json` asks for.
            given: Other fields.
        """
        env = Environment(environ)
        origins = env.text("HARNESS_CORS_ORIGINS")
        key = env.text("HARNESS_JWT_PUBLIC_KEY")
        default = cls()
        found: dict[str, object] = {
            "jwt_secret": env.text("HARNESS_JWT_SECRET"),
            "jwt_public_key": key and key.replace("\\n", "\n"),
            "jwt_audience": env.text("HARNESS_JWT_AUDIENCE"),
            **{
                name: env.integer(f"HARNESS_{name.upper()}", getattr(default, name))
                for name in _COUNTS
            },
            "owner_share": env.number("HARNESS_OWNER_SHARE", default.owner_share),
            "lease_s": env.number("HARNESS_LEASE_S", default.lease_s),
            "heartbeat_s": env.number("HARNESS_HEARTBEAT_S", default.heartbeat_s),
            "grace_s": env.number("HARNESS_GRACE_S", default.grace_s),
            "revived": _revived(env),
            "cors": Cors.of_list(origins) if origins else deployment and deployment.cors,
            "thread_ttl": (deployment and deployment.thread_ttl) or default.thread_ttl,
            "item_ttl": (deployment and deployment.item_ttl) or default.item_ttl,
            "deployment": deployment,
            "webhook_hosts": _hosts(env.text("HARNESS_WEBHOOK_HOSTS")),
        }
        if env.text("LANGGRAPH_AES_KEY") is not None:
            raise ConfigError(
                "LANGGRAPH_AES_KEY is set, but this server keeps inputs, values and errors in rows "
                "that it cannot encrypt; unset it, or encrypt the database's disk"
            )
        found |= {name: value for name, value in given.items() if value is not None}
        return cls(**found)  # type: ignore[arg-type]  # the class checks each


def _revived(env: Environment) -> frozenset[tuple[str, str]] | Literal[True]:
    text = env.text("HARNESS_MSGPACK_ALLOW") or ""
    if text.lower() == _ANY:
        return True
    if (env.text("LANGGRAPH_STRICT_MSGPACK") or "true").lower() in FALSE:
        raise ConfigError(
            "LANGGRAPH_STRICT_MSGPACK is off, but this server is strict; set "
            "HARNESS_MSGPACK_ALLOW=any to have it revive any class"
        )
    found = set()
    for one in filter(None, map(str.strip, text.split(","))):
        module, colon, name = one.partition(":")
        if not (module and colon and name):
            raise ConfigError(
                f"HARNESS_MSGPACK_ALLOW must be module:Class, with commas, or any; not {one!r}"
            )
        found.add((module, name))
    return frozenset(found)


def _hosts(text: str | None) -> frozenset[str] | None:
    """Return the hosts of a list; `none` names none."""
    if text is None:
        return None
    if text.lower() == "none":
        return frozenset()
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
