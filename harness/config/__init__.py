"""Frozen settings, and the only reader of `os.environ`.

| variable | what it sets | default |
| --- | --- | --- |
| `DATABASE_URL` | the Postgres to use | none: memory, or an embedded server for tests |
| `DATABASE_REQUIRED` | refuse to start without that database | `false` |
| `DATABASE_POOL_MIN_SIZE`, `DATABASE_POOL_MAX_SIZE` | connections of the pool | 2, 10 |
| `DATABASE_POOL_TIMEOUT_S` | how long a caller queues for a connection | 10 |
| `DATABASE_PREPARE_THRESHOLD` | runs before a statement is prepared; `none` for poolers | 5 |
| `DATABASE_STATEMENT_TIMEOUT_S` | after which a statement is given up, or `none` | 30 |
| `HARNESS_POSTGRES` | where tests take a server from: `embedded` or `container` | `embedded` |
| `HARNESS_POSTGRES_IMAGE` | the image for `container` | `postgres:18` |
| `HARNESS_HOME` | folder of named embedded servers | the user's data folder |
| `HARNESS_RESULTS` | folder of results that the notebooks show | none: they measure anew |
| `HARNESS_JWT_SECRET` | the server wants HS256 tokens, signed with it | none: no tokens |
| `HARNESS_JWT_PUBLIC_KEY` | the server wants RS256 tokens; in PEM | none: no tokens |
| `HARNESS_JWT_AUDIENCE` | what a token's `aud` must be | none: it is not looked at |
| `HARNESS_MAX_BODY_BYTES` | the largest body of a request | 16 MiB |
| `HARNESS_MAX_STREAMS` | event streams that are open at the same time | 200 |
| `HARNESS_OWNER_SHARE` | the part of places, streams, … that one owner has | 0.5 |
| `HARNESS_MAX_RECURSION_LIMIT` | the largest `recursion_limit` | 10007 |
| `HARNESS_MAX_FILTER_TERMS` | names and list elements in a search | 2000 |
| `HARNESS_MAX_ANSWER_BYTES` | the largest answer that is no stream | 64 MiB |
| `HARNESS_MAX_EVENT_BYTES` | events kept for readers, in all | 256 MiB |
| `HARNESS_MAX_UNWRITTEN` | calls of the checkpointer under way before a run waits | 32 |
| `HARNESS_MAX_UNWRITTEN_BYTES` | what they may hold | 32 MiB |
| `HARNESS_CONCURRENCY` | runs that a server executes at the same time | 20 |
| `HARNESS_LEASE_S` | after which a dead server's runs are taken up | 30 |
| `HARNESS_HEARTBEAT_S` | between two signs of life on a silent stream | 5 |
| `HARNESS_GRACE_S` | given to runs and streams when the server ends | 10 |
| `HARNESS_MSGPACK_ALLOW` | more classes that checkpoints may hold, or `any` | none |
| `HARNESS_CORS_ORIGINS` | origins of web pages that may call, with commas between them | none |
| `HARNESS_WEBHOOK_HOSTS` | hosts that webhooks may call, with commas; `none`: none | any |
| `HARNESS_MODEL` | the chat model of the graphs, as `provider:name` | none: a deterministic one |
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.config.address import check_url, redact
from harness.config.cors import Cors
from harness.config.database import DatabaseConfig, ProvisionConfig, Provisioner
from harness.config.deployment import AuthSource, Deployment, GraphSource, SecuritySource
from harness.config.environment import FALSE, Environment, misspelled
from harness.config.server import ServerConfig
from harness.config.ttl import MAX_TTL_MINUTES, ItemTtlConfig, ThreadTtlConfig
from harness.errors import ConfigError

__all__ = [
    "MAX_TTL_MINUTES",
    "AuthSource",
    "Cors",
    "DatabaseConfig",
    "Deployment",
    "GraphSource",
    "ItemTtlConfig",
    "ProvisionConfig",
    "Provisioner",
    "SecuritySource",
    "ServerConfig",
    "ThreadTtlConfig",
    "check_url",
    "in_ci",
    "misspelled",
    "model_name",
    "prepare_langgraph",
    "prepare_robyn",
    "redact",
    "results_folder",
    "without_pytest",
]


def in_ci(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a CI service runs this: `CI` is set, to anything but a word for no."""
    return (Environment(environ).text("CI") or "false").lower() not in FALSE


def results_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """The folder of results that `HARNESS_RESULTS` names; None: measure anew."""
    text = Environment(environ).text("HARNESS_RESULTS")
    return Path(text) if text else None


def model_name(environ: Mapping[str, str] | None = None) -> str | None:
    """The chat model that `HARNESS_MODEL` names, as `provider:name`; None: the deterministic one.

    Raises:
        ConfigError: It is not of that form.
    """
    text = Environment(environ).text("HARNESS_MODEL")
    if text is not None and not all(text.partition(":")):
        raise ConfigError(f"HARNESS_MODEL must be provider:name, not {text!r}")
    return text


def without_pytest(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a pytest of our own: nothing in it changes how pytest runs."""
    found = os.environ if environ is None else environ
    return {name: value for name, value in found.items() if not name.startswith("PYTEST_")}


def prepare_langgraph(config: ServerConfig) -> None:
    """Say what LangGraph reads from the environment when it is imported.

    Strict, a graph that is compiled registers the classes of its schema.
    """
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "false" if config.revived is True else "true"


def prepare_robyn() -> None:
    """Say what Robyn reads from the environment and the arguments when it is imported.

    Its variables are taken away: the host, the port and more are ours to say. (Its
    ROBYN_MAX_PAYLOAD_SIZE bounds no body of a request: Robyn 0.88 reads each whole.)
    """
    for name in [name for name in os.environ if name.startswith("ROBYN_")]:
        del os.environ[name]
    sys.argv[1:] = ["--log-level", "WARN", "--disable-openapi"]
