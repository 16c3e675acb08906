"""Two owners of one server, told apart by their tokens."""

import secrets
import time
from typing import Final

import jwt
from langgraph_sdk.client import LangGraphClient

from tests.integration.serving import Serving

_SECRET: Final = secrets.token_hex(32)
SETTINGS: Final = {"HARNESS_JWT_SECRET": _SECRET}
"""Of a server that asks for tokens."""


def token_of(owner: str) -> str:
    """Return a token that is good for ten minutes."""
    return jwt.encode({"sub": owner, "exp": int(time.time()) + 600}, _SECRET, algorithm="HS256")


def client_of(server: Serving, owner: str) -> LangGraphClient:
    """Return the official client of an owner."""
    return server.client(token_of(owner))
