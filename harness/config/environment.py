"""Typed reading of environment variables; each error names the variable."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final, TypeVar

from harness.errors import ConfigError

TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})

VARIABLES: Final = (
    "DATABASE_POOL_MAX_SIZE",
    "DATABASE_POOL_MIN_SIZE",
    "DATABASE_POOL_TIMEOUT_S",
    "DATABASE_PREPARE_THRESHOLD",
    "DATABASE_REQUIRED",
    "DATABASE_STATEMENT_TIMEOUT_S",
    "DATABASE_URL",
    "HARNESS_CONCURRENCY",
    "HARNESS_CORS_ORIGINS",
    "HARNESS_GRACE_S",
    "HARNESS_HEARTBEAT_S",
    "HARNESS_HOME",
    "HARNESS_JWT_AUDIENCE",
    "HARNESS_JWT_PUBLIC_KEY",
    "HARNESS_JWT_SECRET",
    "HARNESS_LEASE_S",
    "HARNESS_MAX_ANSWER_BYTES",
    "HARNESS_MAX_BODY_BYTES",
    "HARNESS_MAX_EVENT_BYTES",
    "HARNESS_MAX_FILTER_TERMS",
    "HARNESS_MAX_RECURSION_LIMIT",
    "HARNESS_MAX_STREAMS",
    "HARNESS_MAX_UNWRITTEN",
    "HARNESS_MAX_UNWRITTEN_BYTES",
    "HARNESS_MODEL",
    "HARNESS_MSGPACK_ALLOW",
    "HARNESS_OWNER_SHARE",
    "HARNESS_POSTGRES",
    "HARNESS_POSTGRES_IMAGE",
    "HARNESS_RESULTS",
    "HARNESS_WEBHOOK_HOSTS",
)
"""Those that set something here."""
_ALIKE: Final = 0.85
"""From 0 to 1, of two names of which one is taken for a misspelling of the other."""

ChoiceT = TypeVar("ChoiceT", bound=str)


class Environment:
    """The variables of this process, or those that are given."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._environ = os.environ if environ is None else environ

    def text(self, name: str) -> str | None:
        """Read a text; what is empty counts as unset."""
        return self._environ.get(name, "").strip() or None

    def integer(self, name: str, default: int) -> int:
        """Read a whole number."""
        text = self.text(name)
        try:
            return default if text is None else int(text)
        except ValueError as exc:
            raise ConfigError(f"{name} must be a whole number, not {text!r}") from exc

    def number(self, name: str, default: float) -> float:
        """Read a number."""
        text = self.text(name)
        try:
            return default if text is None else float(text)
        except ValueError as exc:
            raise ConfigError(f"{name} must be a number, not {text!r}") from exc

    def flag(self, name: str) -> bool:
        """Read yes or no."""
        text = (self.text(name) or "false").lower()
        if text not in TRUE | FALSE:
            raise ConfigError(f"{name} must be true or false, not {text!r}")
        return text in TRUE

    def choice(self, name: str, default: ChoiceT, options: Sequence[ChoiceT]) -> ChoiceT:
        """Read one of several words."""
        text = self.text(name)
        for option in options:
            if text == option:
                return option
        if text is not None:
            raise ConfigError(f"{name} must be one of {', '.join(options)}, not {text!r}")
        return default


def misspelled(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables that are set but set nothing, each with the one that may be meant.

    Other programs' variables begin alike, so that only close matches count.
    """
    found = {}
    for name in os.environ if environ is None else environ:
        if name not in VARIABLES:
            for meant in get_close_matches(name, VARIABLES, n=1, cutoff=_ALIKE):
                found[name] = meant
    return found
