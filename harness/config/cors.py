"""Which web pages of other origins a browser lets read this server's answers."""

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from harness.config.headers import is_token
from harness.errors import ConfigError

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """`http.cors` of a `langgraph.json`: Cross-Origin Resource Sharing, of the Fetch standard.

    Raises:
        ConfigError: It names no origin, a regular expression is none, every origin is to send
            credentials, or something cannot stand in a header.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    allow_origins: tuple[str, ...] = ()
    """Such as `https://chat.example.com`; `*` is every one."""
    allow_origin_regex: str | None = None
    """Or what matches this whole."""
    allow_methods: tuple[str, ...] = (ANY,)
    """`*`: all that the server has."""
    allow_headers: tuple[str, ...] = (ANY,)
    """Headers that pages may send; `*`: whichever they want to."""
    allow_credentials: bool = False
    """Whether browsers send cookies and the like."""
    expose_headers: tuple[str, ...] = ()
    """Headers of answers that pages may read, further to those that the server's API has."""
    max_age: Annotated[int, Field(ge=0, lt=2**31)] = 600
    """Seconds for which a browser may keep what a preflight request was answered."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        if not self.allow_origins and self.allow_origin_regex is None:
            raise ConfigError("http.cors allows no origin; name some in allow_origins")
        for origin in self.allow_origins:
            if origin != ANY and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-.0-~]+", origin):
                raise ConfigError(
                    f"{origin!r} is no origin; write it as https://chat.example.com, without a path"
                )
        for key in ("allow_methods", "allow_headers", "expose_headers"):
            for name in getattr(self, key):
                if not is_token(name):
                    raise ConfigError(f"{key}: {name!r} cannot stand in a header")
        if self.allow_credentials and ANY in self.allow_origins:
            raise ConfigError(
                "with allow_credentials every web page could act as its visitor here; name the "
                "origins instead of *"
            )
        try:
            re.compile(self.allow_origin_regex or "")
        except re.error as exc:
            raise ConfigError(f"allow_origin_regex is no regular expression: {exc}") from exc

    @classmethod
    def of_list(cls, text: str) -> Self:
        """Read origins with commas between them."""
        return cls(allow_origins=tuple(each.strip() for each in text.split(",") if each.strip()))
