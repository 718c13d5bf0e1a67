"""Key sets: which published keys may check a token's signature, and with which one algorithm each.

These must stay true:
  - A key has exactly one algorithm (RFC 8725 §3.1), fixed when the set is read; a token cannot choose another.
  - A `kid` is looked up in a dictionary and means nothing else: no path, no address, no query is ever made from it.
  - A secret never comes from a document; a private key that somebody published is not used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, get_args

import jwt

from gateway.admission import strict_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

AsymmetricAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ASYMMETRIC_ALGORITHMS: frozenset[str] = frozenset(get_args(AsymmetricAlgorithm))

MAX_KID_CHARS = 128
MIN_SECRET_BYTES = 32
"""RFC 7518 §3.2: a key for HS256 has at least as many bits as the hash."""
MIN_RSA_BITS, MAX_RSA_BITS = 2_048, 8_192
"""Below is weak (RFC 7518 §3.3); above, one verification takes milliseconds."""

_KID = re.compile(r"[A-Za-z0-9._:+/=@~-]{1,128}")
"""What issuers use in practice: Amazon Cognito's are Base64, others are names, digests and dates."""

_MAX_RSA_MODULUS_CHARS = (MAX_RSA_BITS // 8 + 2) * 4 // 3
_MAX_RSA_EXPONENT_CHARS = 8

_ALGORITHMS_OF_KIND: dict[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By `kty` and `crv`; the first is meant when the key names none."""

_IDENTIFYING_MEMBERS = {"RSA": ("e", "n"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""RFC 7638 §3.2, less `kty`."""


class UnreadableCause(StrEnum):
    """Why a key document could not be used."""

    timeout = "timeout"
    unreachable = "unreachable"
    bad_status = "bad_status"
    redirected = "redirected"
    too_large = "too_large"
    too_many_keys = "too_many_keys"
    not_a_key_set = "not_a_key_set"


class KeysUnreadable(Exception):
    """The key document could not be read; what was read before may still be used."""

    def __init__(self, cause: UnreadableCause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class IgnoredBecause(StrEnum):
    """Why one key of a readable document is not used."""

    not_an_object = "not_an_object"
    bad_kid = "bad_kid"
    duplicate_kid = "duplicate_kid"
    unsupported_kind = "unsupported_kind"
    symmetric = "symmetric"
    private = "private"
    not_for_signatures = "not_for_signatures"
    algorithm_not_allowed = "algorithm_not_allowed"
    bad_size = "bad_size"
    unreadable = "unreadable"


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that was parsed once. Two keys with one `fingerprint` accept the same signatures."""

    kid: str
    algorithm: str
    fingerprint: bytes = field(repr=False)
    material: jwt.PyJWK = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a document, and why each of the others is not used, in the document's order."""

    by_kid: Mapping[str, VerificationKey]
    ignored: tuple[IgnoredBecause, ...] = ()


def is_kid(value: object) -> bool:
    """Whether `value` can name a key: bounded, of plain characters."""
    return isinstance(value, str) and _KID.fullmatch(value) is not None


def parse_key_set(document: bytes, *, algorithms: Collection[str], max_keys: int) -> KeySet:
    """Read a JWK set (RFC 7517 §5). Keys we cannot use are left out; a set without usable keys is a valid set.

    Raises:
        KeysUnreadable: the document is not a JWK set, or has more than `max_keys` keys.
    """
    try:
        value = strict_json.loads(document)
    except strict_json.NotStrictJson:
        raise KeysUnreadable(UnreadableCause.not_a_key_set, "the document is not strict JSON") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise KeysUnreadable(UnreadableCause.not_a_key_set, "the document has no list `keys`")
    if len(keys) > max_keys:
        raise KeysUnreadable(UnreadableCause.too_many_keys, f"more than {max_keys} keys")
    return key_set_of(keys, algorithms=algorithms)


def key_set_of(jwks: Sequence[object], *, algorithms: Collection[str]) -> KeySet:
    """Parse each key. Of keys that share a `kid`, none is used: which was meant cannot be known."""
    outcomes = [_parse_key(jwk, algorithms) for jwk in jwks]
    times_named: dict[str, int] = {}
    for outcome in outcomes:
        if isinstance(outcome, VerificationKey):
            times_named[outcome.kid] = times_named.get(outcome.kid, 0) + 1
    by_kid: dict[str, VerificationKey] = {}
    ignored: list[IgnoredBecause] = []
    for outcome in outcomes:
        if isinstance(outcome, IgnoredBecause):
            ignored.append(outcome)
        elif times_named[outcome.kid] > 1:
            ignored.append(IgnoredBecause.duplicate_kid)
        else:
            by_kid[outcome.kid] = outcome
    return KeySet(by_kid=by_kid, ignored=tuple(ignored))


def secret_key(kid: str, secret: bytes) -> VerificationKey:
    """A shared secret for HS256, as configured.

    Raises:
        ValueError: shorter than `MIN_SECRET_BYTES`, or it looks like a public key. The secret is not in the text.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"a shared secret must have at least {MIN_SECRET_BYTES} bytes")
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")
    material = jwt.PyJWK({"kty": "oct", "k": encoded}, algorithm="HS256")
    try:
        material.Algorithm.prepare_key(material.key)
    except jwt.InvalidKeyError:
        raise ValueError("a shared secret must be random bytes, not a key file") from None
    return VerificationKey(kid, "HS256", hashlib.sha256(b"HS256 " + secret).digest(), material)


def _parse_key(jwk: object, algorithms: Collection[str]) -> VerificationKey | IgnoredBecause:
    if not isinstance(jwk, dict):
        return IgnoredBecause.not_an_object
    kid = jwk.get("kid")
    if not is_kid(kid):
        return IgnoredBecause.bad_kid
    algorithm = _algorithm_of(jwk, algorithms)
    if isinstance(algorithm, IgnoredBecause):
        return algorithm
    if jwk["kty"] == "RSA" and not _has_bounded_rsa_members(jwk):
        return IgnoredBecause.bad_size
    try:
        material = jwt.PyJWK(jwk, algorithm=algorithm)
        if jwk["kty"] == "RSA" and not MIN_RSA_BITS <= material.key.key_size <= MAX_RSA_BITS:
            return IgnoredBecause.bad_size
        material.Algorithm.prepare_key(material.key)
    except jwt.PyJWTError:
        return IgnoredBecause.unreadable
    return VerificationKey(str(kid), algorithm, _fingerprint(jwk, algorithm), material)


def _algorithm_of(jwk: dict[str, Any], allowed: Collection[str]) -> str | IgnoredBecause:
    """The one algorithm of a key, or why it has none that we may use."""
    kind, curve = jwk.get("kty"), jwk.get("crv", "")
    if kind == "oct" or "k" in jwk:
        return IgnoredBecause.symmetric
    if not isinstance(kind, str) or not isinstance(curve, str) or (kind, curve) not in _ALGORITHMS_OF_KIND:
        return IgnoredBecause.unsupported_kind
    if "d" in jwk:
        return IgnoredBecause.private
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return IgnoredBecause.not_for_signatures
    possible = _ALGORITHMS_OF_KIND[kind, curve]
    algorithm = jwk.get("alg", possible[0])
    if not isinstance(algorithm, str) or algorithm not in possible or algorithm not in allowed:
        return IgnoredBecause.algorithm_not_allowed
    return algorithm


def _has_bounded_rsa_members(jwk: dict[str, Any]) -> bool:
    modulus, exponent = jwk.get("n"), jwk.get("e")
    return (
        isinstance(modulus, str)
        and isinstance(exponent, str)
        and len(modulus) <= _MAX_RSA_MODULUS_CHARS
        and len(exponent) <= _MAX_RSA_EXPONENT_CHARS
    )


def _fingerprint(jwk: dict[str, Any], algorithm: str) -> bytes:
    members = {name: jwk[name] for name in _IDENTIFYING_MEMBERS[jwk["kty"]]}
    return hashlib.sha256(json.dumps([algorithm, members], sort_keys=True).encode()).digest()
