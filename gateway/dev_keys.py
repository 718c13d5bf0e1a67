"""Keys for development: one Ed25519 pair on this machine that `patchbay up` trusts and `patchbay token` signs with."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from collections.abc import Mapping

DEV_ISSUER = "patchbay-dev"
DEV_AUDIENCE = "patchbay"
DEV_ALGORITHM = "EdDSA"
MAX_TTL_S = 30 * 86_400

_KEY_FILE = "dev-key.pem"
_MAX_KEY_FILE_BYTES = 4_096


class DevKeysRefused(Exception):
    """The key file cannot be used as it is; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class DevClaims:
    """Who a development token says is calling; the claim names are the defaults of gateway.admission.settings."""

    tenant: str = "dev"
    project: str = ""
    subject: str = "developer"
    plan: str = ""
    residency: str = ""
    scopes: tuple[str, ...] = ("speech:stream",)
    issuer: str = DEV_ISSUER
    audience: str = DEV_AUDIENCE
    jti: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other claims."""


class DevKeys:
    """The pair. Never shows its private half."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        raw = private_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._public_member = _base64url(raw)
        self.kid = _thumbprint({"crv": "Ed25519", "kty": "OKP", "x": self._public_member})

    def __repr__(self) -> str:
        return f"DevKeys(kid={self.kid!r})"

    def jwks(self) -> dict[str, Any]:
        """The JWK set of the public half, as settings and files take it."""
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": self._public_member}
        return {"keys": [jwk | {"kid": self.kid, "use": "sig", "alg": DEV_ALGORITHM}]}

    def mint(self, claims: DevClaims, *, ttl_s: int, now_s: int) -> str:
        """A signed token that holds from `now_s` (Unix seconds) for `ttl_s`.

        Raises:
            ValueError: `ttl_s` is not in 1 to `MAX_TTL_S`.
        """
        if not 1 <= ttl_s <= MAX_TTL_S:
            raise ValueError(f"ttl_s must be 1 to {MAX_TTL_S}, not {ttl_s}")
        payload: dict[str, Any] = {
            "iss": claims.issuer,
            "aud": claims.audience,
            "sub": claims.subject,
            "tenant": claims.tenant,
            "scope": " ".join(claims.scopes),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + ttl_s,
        }
        optional = {
            "project": claims.project,
            "plan": claims.plan,
            "residency": claims.residency,
            "jti": claims.jti,
        }
        payload |= {name: value for name, value in optional.items() if value}
        payload |= claims.more
        return jwt.encode(payload, self._private_key, algorithm=DEV_ALGORITHM, headers={"kid": self.kid})


def state_directory(environment: Mapping[str, str]) -> Path:
    """Where Patchbay keeps state on this machine, from the environment (XDG Base Directory Specification 0.8)."""
    configured = Path(environment.get("XDG_STATE_HOME", ""))
    # The specification: a relative path is invalid and must be ignored.
    base = configured if configured.is_absolute() else Path(environment.get("HOME", "~")).expanduser() / ".local/state"
    return base / "patchbay"


def create_or_load(directory: Path) -> DevKeys:
    """The pair of this directory, made at the first call. Processes that race all get the same one.

    Raises:
        DevKeysRefused: the file is no Ed25519 key, is not ours, or others may read it.
        OSError: the directory cannot be written.
    """
    path = directory / _KEY_FILE
    with suppress(FileNotFoundError):
        return _load(path)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _create(path)
    return _load(path)


def _create(path: Path) -> None:
    """Put a new key there unless one is there already: whole or not at all, and never readable by others."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A hard link fails where the name is taken; a rename would replace the key that another process already uses.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _load(path: Path) -> DevKeys:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise DevKeysRefused(f"{path} must be a file of your own; remove it to have a new key made")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise DevKeysRefused(f"{path} may be read by others: run `chmod 600 {path}`, or remove it for a new key")
        pem = file.read(_MAX_KEY_FILE_BYTES)
    try:
        private_key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private_key = None
    if not isinstance(private_key, Ed25519PrivateKey):
        raise DevKeysRefused(f"{path} is not an Ed25519 key in PEM; remove it to have a new key made")
    return DevKeys(private_key)


def _thumbprint(members: dict[str, str]) -> str:
    """RFC 7638 §3: the SHA-256 of the required members in order, without spaces."""
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(text.encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
