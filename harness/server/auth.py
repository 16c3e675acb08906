"""Who calls: nobody in particular, or the subject of a signed token."""

from collections.abc import Mapping
from typing import Any, Final

import jwt

from harness.config import ServerConfig
from harness.errors import ConfigError, InvalidInput
from harness.models import SYSTEM
from harness.server.failures import HttpError
from harness.storage.checks import check_owner

ANYBODY: Final = "anybody"
"""The one owner of everything where there is no authentication."""

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


class Authenticator:
    """Tells the owner of a request from its headers.

    Tokens are JSON Web Tokens (RFC 7519) signed with HS256 or RS256, whichever key is set; they
    must have `sub` and `exp`. Supabase's are such tokens.

    Args:
        config: Holds the keys; with neither, everybody is the same owner.

    Raises:
        ConfigError: The public key is none.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._key = config.jwt_secret or config.jwt_public_key
        self._algorithm = "HS256" if config.jwt_secret else "RS256"
        self._audience = config.jwt_audience
        if config.jwt_public_key is not None:
            try:
                jwt.get_algorithm_by_name("RS256").prepare_key(config.jwt_public_key)
            except (jwt.InvalidKeyError, ValueError) as exc:
                raise ConfigError("HARNESS_JWT_PUBLIC_KEY is no RSA public key in PEM") from exc

    def owner_of(self, headers: Mapping[str, str]) -> str:
        """Return who calls.

        Raises:
            HttpError: 401, the token is missing, malformed, unsigned, expired or not ours.
        """
        if self._key is None:
            return ANYBODY
        scheme, _, token = headers.get("authorization", "").partition(" ")
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
        if owner == SYSTEM:
            raise HttpError(401, "nobody can be the system", _CHALLENGE)
        return owner
