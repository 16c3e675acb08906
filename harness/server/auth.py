"""Who calls: nobody in particular, the subject of a signed token, or whom `Auth` handlers name."""

from typing import Any, Final, Protocol

import jwt

from harness.config import ServerConfig
from harness.errors import ConfigError, InvalidInput
from harness.server.access.handlers import Handlers
from harness.server.failures import HttpError
from harness.server.http import Call, Raw, Reply, Route
from harness.server.users import RESERVED_OWNERS, User
from harness.storage.checks import check_owner

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


class Guard(Protocol):
    """Tells who calls, and what they may do."""

    async def user_of(self, raw: Raw) -> User | None:
        """Return who calls; None: everybody is the same.

        Raises:
            HttpError: 401, nobody can be told.
        """

    async def authorized(self, route: Route, call: Call[Any, Any]) -> Call[Any, Any] | Reply:
        """Return the call as it may be answered, or the answer where it can find nothing.

        Raises:
            HttpError: It may not be answered.
        """


def guard_of(config: ServerConfig) -> Guard:
    """Return who guards a server.

    Raises:
        ConfigError: The public key is none, or the `Auth` object cannot be used.
    """
    if config.deployment is not None and config.deployment.auth is not None:
        return Handlers(config.deployment)
    return Tokens(config) if config.has_jwt_key else Anybody()


class Anybody:
    """Everybody is the same owner, and may do everything."""

    async def user_of(self, raw: Raw) -> User | None:
        """Return nobody."""
        del raw
        return None

    async def authorized(self, route: Route, call: Call[Any, Any]) -> Call[Any, Any] | Reply:
        """Return the call."""
        del route
        return call


class Tokens:
    """Tells the owner of a request from its token, and lets owners do everything with their own.

    Tokens are JSON Web Tokens (RFC 7519) signed with HS256 or RS256, whichever key is set; they
    must have `sub` and `exp`. Supabase's are such tokens.

    Args:
        config: Holds the key.

    Raises:
        ConfigError: The public key is none.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._key = config.jwt_secret or config.jwt_public_key or ""
        self._algorithm = "HS256" if config.jwt_secret else "RS256"
        self._audience = config.jwt_audience
        if config.jwt_public_key is not None:
            try:
                jwt.get_algorithm_by_name("RS256").prepare_key(config.jwt_public_key)
            except (jwt.InvalidKeyError, ValueError) as exc:
                raise ConfigError("HARNESS_JWT_PUBLIC_KEY is no RSA public key in PEM") from exc

    async def user_of(self, raw: Raw) -> User | None:
        """Return who calls.

        Raises:
            HttpError: 401, the token is missing, malformed, unsigned, expired or not ours.
        """
        scheme, _, token = raw.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise HttpError(401, "send a token: Authorization: Bearer …", _CHALLENGE)
        try:
            claims: dict[str, Any] = jwt.decode(
                token.strip(),
                self._key,
                algorithms=[self._algorithm],
                audience=self._audience,
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": self._audience is not None,
                },
            )
            owner = check_owner(claims["sub"])
        except jwt.ExpiredSignatureError:
            raise HttpError(401, "the token has expired", _CHALLENGE) from None
        except (jwt.InvalidTokenError, InvalidInput):
            raise HttpError(401, "the token is not valid", _CHALLENGE) from None
        if owner in RESERVED_OWNERS:
            raise HttpError(401, f"nobody can be {owner!r}", _CHALLENGE)
        return User(owner)

    async def authorized(self, route: Route, call: Call[Any, Any]) -> Call[Any, Any] | Reply:
        """Return the call."""
        del route
        return call
