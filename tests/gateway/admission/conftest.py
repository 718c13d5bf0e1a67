"""Real key pairs of every algorithm, tokens made by hand, settings that trust them, and a key server on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.admission.settings import TokenSettings

NOW_S = 1_800_000_000
ISSUER = "https://issuer.example/"
AUDIENCE = "patchbay"
DEADLINE_S = 60


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Signer:
    """One key pair, and the tokens its owner makes with it."""

    kid: str
    algorithm: str
    private_key: Any

    @property
    def jwk(self) -> dict[str, Any]:
        library = jwt.get_algorithm_by_name(self.algorithm)
        public = {
            k: v for k, v in library.to_jwk(self.private_key.public_key(), as_dict=True).items() if k != "key_ops"
        }
        return public | {"kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def public_pem(self) -> bytes:
        return self.private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return self.sign_text(json.dumps(claims), **header)

    def sign_text(self, payload: str, header_text: str | None = None, **header: Any) -> str:
        """A token with any header and payload under a good signature, also such as no library would make."""
        members = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | header
        members = {name: value for name, value in members.items() if value is not ...}
        head = json.dumps(members) if header_text is None else header_text
        signed = f"{base64url(head.encode())}.{base64url(payload.encode())}"
        library = jwt.get_algorithm_by_name(self.algorithm)
        return f"{signed}.{base64url(library.sign(signed.encode(), self.private_key))}"


_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def new_signer(algorithm: str, kid: str) -> Signer:
    if algorithm == "EdDSA":
        return Signer(kid, algorithm, ed25519.Ed25519PrivateKey.generate())
    if algorithm in _CURVES:
        return Signer(kid, algorithm, ec.generate_private_key(_CURVES[algorithm]))
    return Signer(kid, algorithm, rsa.generate_private_key(public_exponent=65_537, key_size=2_048))


def good_claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; a change to `...` leaves the claim out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "service-7",
        "iat": NOW_S - 10,
        "nbf": NOW_S - 10,
        "exp": NOW_S + 600,
        "scope": "speech:stream speech:read",
        "tenant": "acme",
        "project": "calls",
        "plan": "gold",
        "residency": "eu-only",
    }
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def token_settings(
    signers: list[Signer] = (), *, issuer: dict[str, Any] | None = None, **changes: Any
) -> TokenSettings:
    source: dict[str, Any] = {"static_keys": [signer.jwk for signer in signers]} if signers else {}
    return TokenSettings.model_validate(
        {
            "issuers": [{"issuer": ISSUER, "audience": AUDIENCE} | source | (issuer or {})],
            **changes,
        }
    )


@dataclass
class KeyServer:
    """A real HTTP server that answers as the test says, and counts."""

    respond: Callable[[web.Request], Any]
    num_requests: int = 0
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)

    def serve_keys(self, *signers: Signer, **headers: str) -> None:
        document = json.dumps({"keys": [signer.jwk for signer in signers]})
        self.respond = lambda _: web.Response(text=document, headers=headers)

    def fail(self, status: int = 503) -> None:
        self.respond = lambda _: web.Response(status=status)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.num_requests += 1
        self.headers.append(dict(request.headers))
        response = self.respond(request)
        return await response if asyncio.iscoroutine(response) else response


@dataclass
class Clock:
    """A clock that only the test moves."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="session")
def signers() -> dict[str, Signer]:
    """By algorithm; the kid is the algorithm's name with `key-` before it."""
    rsa_key = new_signer("RS256", "key-RS256").private_key
    made = {name: new_signer(name, f"key-{name}") for name in (*_CURVES, "EdDSA")}
    rsa_names = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    return made | {name: Signer(f"key-{name}", name, rsa_key) for name in rsa_names}


@pytest.fixture
async def key_server() -> AsyncIterator[KeyServer]:
    state = KeyServer(respond=lambda _: web.Response(status=503))
    app = web.Application()
    app.router.add_get("/keys.json", state.handle)
    server = TestServer(app)
    await server.start_server()
    state.url = str(server.make_url("/keys.json"))
    yield state
    await server.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Kit:
    """The makers above, for test files, which cannot import this one."""

    now_s = NOW_S
    issuer = ISSUER
    audience = AUDIENCE
    Signer = Signer
    Clock = Clock
    new_signer = staticmethod(new_signer)
    claims = staticmethod(good_claims)
    settings = staticmethod(token_settings)
    base64url = staticmethod(base64url)

    @staticmethod
    async def until(is_true: Callable[[], bool]) -> None:
        """Let other tasks run until it is so."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_true():
                await asyncio.sleep(0.001)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
