"""Tokens that are not what they should be: each is 401, and says nothing about why it might be."""

import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.models import SYSTEM
from harness.server.users import ANYBODY
from tests.integration import owners
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS

SECRET: Final = owners.SETTINGS["HARNESS_JWT_SECRET"]
AUDIENCE: Final = "authenticated"
OTHER_SECRET: Final = secrets.token_hex(32)
RSA_KEY: Final = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
PUBLIC_PEM: Final = (
    RSA_KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a token that is good, but for what is changed; None leaves one out."""
    good = {"sub": "alice", "exp": int(time.time()) + 600, "aud": AUDIENCE}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def hs256(secret: str = SECRET, **changed: Any) -> str:
    """Return a token signed with a secret."""
    return jwt.encode(claims(**changed), secret, algorithm="HS256")


def raw(header: dict[str, Any], signature: str = "") -> str:
    """Return a token that no library would make."""
    parts = (json.dumps(each).encode() for each in (header, claims()))
    encoded = (base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in parts)
    return ".".join([*encoded, signature])


def confused() -> str:
    """Return a token signed by HS256 with the text of the public key, which everybody has."""
    signer = jwt.PyJWS()
    algorithm: Any = jwt.get_algorithm_by_name("HS256")
    algorithm.prepare_key = lambda key: key.encode() if isinstance(key, str) else key
    signer.register_algorithm("HS256x", algorithm)
    token = signer.encode(json.dumps(claims()).encode(), PUBLIC_PEM, algorithm="HS256x")
    head, body, _ = token.split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    assert head
    signature = algorithm.sign(f"{header}.{body}".encode(), PUBLIC_PEM.encode())
    return f"{header}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FOR_A_SECRET: Final[dict[str, str]] = {
    "none at all": "",
    "no token": "nonsense",
    "two parts": "a.b",
    "four parts": "a.b.c.d",
    "another secret": hs256(OTHER_SECRET),
    "another algorithm": jwt.encode(claims(), SECRET, algorithm="HS512"),
    "RS256": jwt.encode(claims(), RSA_KEY, algorithm="RS256"),
    "alg none": raw({"alg": "none", "typ": "JWT"}),
    "alg None": raw({"alg": "None", "typ": "JWT"}),
    "no alg": raw({"typ": "JWT"}),
    "unsigned": hs256().rpartition(".")[0] + ".",
    "critical": jwt.encode(claims(), SECRET, headers={"crit": ["exp"]}),
    "expired": hs256(exp=int(time.time()) - 1),
    "no exp": hs256(exp=None),
    "exp is text": hs256(exp="tomorrow"),
    "not yet": hs256(nbf=int(time.time()) + 600),
    "issued later": hs256(iat=int(time.time()) + 600),
    "no sub": hs256(sub=None),
    "empty sub": hs256(sub=""),
    "system": hs256(sub=SYSTEM),
    "anybody": hs256(sub=ANYBODY),
    "sub too long": hs256(sub="x" * 300),
    "sub with NUL": hs256(sub="a\0b"),
}
FOR_A_KEY: Final[dict[str, str]] = {
    "HS256 with the public key": confused(),
    "HS256": hs256(),
    "alg none": raw({"alg": "none", "typ": "JWT"}),
    "another key": jwt.encode(
        claims(), rsa.generate_private_key(public_exponent=65_537, key_size=2_048), "RS256"
    ),
    "another audience": jwt.encode(claims(aud="anon"), RSA_KEY, "RS256"),
    "no audience": jwt.encode(claims(aud=None), RSA_KEY, "RS256"),
}


async def statuses(server: Serving, token: str) -> list[int]:
    """Return what it is answered where a token is needed, and where it is not."""
    async with server.http() as http:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        search = await http.post("/threads/search", json={}, headers=headers)
        if search.status_code == 401:
            assert list(search.json()) == ["detail"]
            assert search.headers["www-authenticate"] == "Bearer"
            assert not token or token not in search.text
        return [search.status_code, (await http.get("/ok", headers=headers)).status_code]


@pytest.mark.parametrize("token", FOR_A_SECRET.values(), ids=FOR_A_SECRET.keys())
async def test_with_a_secret(server: Serving, token: str) -> None:
    """401, and what needs no token is answered all the same."""
    assert await statuses(server, token) == [401, 200]


async def test_the_scheme_is_bearer(server: Serving) -> None:
    """In any case; a token under another scheme, or in the address, is none."""
    async with server.http() as http:
        token = hs256()
        for scheme, status in (("bearer", 200), ("BEARER", 200), ("Basic", 401), ("Token", 401)):
            headers = {"Authorization": f"{scheme} {token}"}
            answer = await http.post("/threads/search", json={}, headers=headers)
            assert answer.status_code == status
        answer = await http.post(f"/threads/search?access_token={token}", json={})
        assert answer.status_code == 401


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keyed() -> AsyncIterator[Serving]:
    """A server that knows a public key and an audience."""
    settings = {"HARNESS_JWT_PUBLIC_KEY": PUBLIC_PEM, "HARNESS_JWT_AUDIENCE": AUDIENCE}
    async with Serving(**settings) as server:
        yield server


async def test_with_a_public_key(keyed: Serving) -> None:
    """Its owner's tokens are good; what anybody can sign who has the public key is not."""
    assert await statuses(keyed, jwt.encode(claims(), RSA_KEY, "RS256")) == [200, 200]
    for name, token in FOR_A_KEY.items():
        assert await statuses(keyed, token) == [401, 200], name
    log = keyed.log()
    assert "Traceback" not in log
    assert "eyJ" not in log
