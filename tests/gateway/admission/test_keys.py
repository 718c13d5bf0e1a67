"""Which keys of a document are used, and with which one algorithm."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission.keys import (
    ASYMMETRIC_ALGORITHMS,
    IgnoredBecause,
    KeysUnreadable,
    UnreadableCause,
    is_kid,
    key_set_of,
    parse_key_set,
    secret_key,
)

pytestmark = pytest.mark.unit

ALL = ASYMMETRIC_ALGORITHMS


def test_every_allowed_algorithm_has_its_key_with_exactly_that_algorithm(signers: dict[str, Any]) -> None:
    assert set(signers) == ALL
    found = key_set_of([signer.jwk for signer in signers.values()], algorithms=ALL)
    assert {key.kid: key.algorithm for key in found.by_kid.values()} == {f"key-{name}": name for name in ALL}
    assert found.ignored == ()


@pytest.mark.parametrize(("named", "meant"), [("PS256", "RS256"), ("ES384", "ES384"), ("EdDSA", "EdDSA")])
def test_a_key_that_names_no_algorithm_has_the_usual_one_of_its_kind(
    signers: dict[str, Any], named: str, meant: str
) -> None:
    jwk = {name: value for name, value in signers[named].jwk.items() if name != "alg"}
    assert [key.algorithm for key in key_set_of([jwk], algorithms=ALL).by_kid.values()] == [meant]


def _weak_rsa() -> dict[str, Any]:
    private_key = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
    return jwt.get_algorithm_by_name("RS256").to_jwk(private_key.public_key(), as_dict=True)


def _without_purpose(jwk: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in {"use", "key_ops"}}


@pytest.mark.parametrize(
    ("algorithm", "change", "reason"),
    [
        ("RS256", {"kid": None}, IgnoredBecause.bad_kid),
        ("RS256", {"kid": 7}, IgnoredBecause.bad_kid),
        ("RS256", {"kid": "a b"}, IgnoredBecause.bad_kid),
        ("RS256", {"kid": "x" * 129}, IgnoredBecause.bad_kid),
        ("RS256", {"kty": "oct", "k": "c2VjcmV0"}, IgnoredBecause.symmetric),
        ("RS256", {"k": "c2VjcmV0"}, IgnoredBecause.symmetric),
        ("RS256", {"kty": "EC"}, IgnoredBecause.unsupported_kind),
        ("RS256", {"kty": ["RSA"]}, IgnoredBecause.unsupported_kind),
        ("ES256", {"crv": "secp256k1"}, IgnoredBecause.unsupported_kind),
        ("ES256", {"crv": {}}, IgnoredBecause.unsupported_kind),
        ("ES256", {"d": "AA"}, IgnoredBecause.private),
        ("RS256", {"use": "enc"}, IgnoredBecause.not_for_signatures),
        ("RS256", {"key_ops": ["sign"]}, IgnoredBecause.not_for_signatures),
        ("RS256", {"key_ops": "verify"}, IgnoredBecause.not_for_signatures),
        ("RS256", {"alg": "HS256"}, IgnoredBecause.algorithm_not_allowed),
        ("RS256", {"alg": "none"}, IgnoredBecause.algorithm_not_allowed),
        ("RS256", {"alg": "ES256"}, IgnoredBecause.algorithm_not_allowed),
        ("RS256", {"alg": None}, IgnoredBecause.algorithm_not_allowed),
        ("ES256", {"alg": "ES384"}, IgnoredBecause.algorithm_not_allowed),
        ("RS256", {"n": "A" * 5_000}, IgnoredBecause.bad_size),
        ("RS256", {"e": "A" * 50}, IgnoredBecause.bad_size),
        ("RS256", {"n": 5}, IgnoredBecause.bad_size),
        ("ES256", {"x": 5}, IgnoredBecause.unreadable),
        ("ES256", {"x": "AAAA"}, IgnoredBecause.unreadable),
        ("ES256", {"x": "A" * 43}, IgnoredBecause.unreadable),
        ("EdDSA", {"x": "AAAA"}, IgnoredBecause.unreadable),
    ],
)
def test_a_key_that_cannot_be_trusted_with_a_signature_is_not_used(
    signers: dict[str, Any], algorithm: str, change: dict[str, Any], reason: IgnoredBecause
) -> None:
    found = key_set_of([signers[algorithm].jwk | change], algorithms=ALL)
    assert (dict(found.by_kid), found.ignored) == ({}, (reason,))


def test_a_short_rsa_key_is_not_used() -> None:
    found = key_set_of([_weak_rsa() | {"kid": "weak"}], algorithms=ALL)
    assert found.ignored == (IgnoredBecause.bad_size,)


def test_a_curve_that_is_not_ed25519_is_not_used() -> None:
    jwk = jwt.get_algorithm_by_name("EdDSA").to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)
    assert key_set_of([jwk | {"kid": "ed448"}], algorithms=ALL).ignored == (IgnoredBecause.unsupported_kind,)


def test_a_key_whose_algorithm_the_issuer_may_not_use_is_not_used(signers: dict[str, Any]) -> None:
    found = key_set_of([signers["RS256"].jwk, signers["ES256"].jwk], algorithms=["ES256"])
    assert (list(found.by_kid), found.ignored) == (["key-ES256"], (IgnoredBecause.algorithm_not_allowed,))


def test_of_two_keys_with_one_name_none_is_used(signers: dict[str, Any], kit: Any) -> None:
    other = kit.new_signer("ES256", "key-ES256")
    found = key_set_of([signers["ES256"].jwk, signers["EdDSA"].jwk, other.jwk], algorithms=ALL)
    assert list(found.by_kid) == ["key-EdDSA"]
    assert found.ignored == (IgnoredBecause.duplicate_kid, IgnoredBecause.duplicate_kid)


def test_a_key_read_twice_is_the_same_key_and_another_under_its_name_is_not(signers: dict[str, Any], kit: Any) -> None:
    def read(jwk: dict[str, Any]) -> object:
        return key_set_of([jwk], algorithms=ALL).by_kid["key-ES256"]

    jwk = signers["ES256"].jwk
    assert read(jwk) == read(dict(reversed(jwk.items())))
    assert read(jwk) != read(kit.new_signer("ES256", "key-ES256").jwk)


def test_a_key_never_shows_its_material(signers: dict[str, Any]) -> None:
    secret = "canary-secret-of-32-bytes-or-more!"
    assert "canary" not in repr(secret_key("s", secret.encode()))
    assert signers["ES256"].jwk["x"] not in repr(key_set_of([signers["ES256"].jwk], algorithms=ALL))


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (b"", UnreadableCause.not_a_key_set),
        (b"<html>", UnreadableCause.not_a_key_set),
        (b"[]", UnreadableCause.not_a_key_set),
        (b"{}", UnreadableCause.not_a_key_set),
        (b'{"keys":{}}', UnreadableCause.not_a_key_set),
        (b'{"keys":[],"keys":[]}', UnreadableCause.not_a_key_set),
        (b'{"keys":[1,2,3,4]}', UnreadableCause.too_many_keys),
    ],
)
def test_a_document_that_is_no_key_set_is_refused_whole(document: bytes, cause: UnreadableCause) -> None:
    with pytest.raises(KeysUnreadable) as refusal:
        parse_key_set(document, algorithms=ALL, max_keys=3)
    assert refusal.value.cause is cause


def test_an_empty_key_set_is_a_key_set_since_its_issuer_may_withdraw_every_key() -> None:
    assert dict(parse_key_set(b'{"keys":[]}', algorithms=ALL, max_keys=3).by_kid) == {}


_odd = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2)


@settings(deadline=None)
@given(
    members=st.dictionaries(st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "crv", "n", "e", "x", "y"]), _odd)
)
def test_any_object_is_a_key_or_has_a_reason_not_to_be(members: dict[str, Any]) -> None:
    document = json.dumps({"keys": [members]}).encode()
    found = parse_key_set(document, algorithms=ALL, max_keys=3)
    assert len(found.by_kid) + len(found.ignored) == 1


@pytest.mark.parametrize("kid", ["a", "2024-01", "QUJD+/==", "urn:key:1", "x" * 128])
def test_names_that_issuers_use_are_names(kid: str) -> None:
    assert is_kid(kid)


@pytest.mark.parametrize(
    "kid", ["", "a\n", "a b", "'; DROP TABLE keys;--", "a\x00", "ключ", "x" * 129, None, 7, ["a"], {}]
)
def test_what_could_mean_more_than_a_name_is_no_name(kid: object) -> None:
    assert not is_kid(kid)


def _public_pem() -> bytes:
    from cryptography.hazmat.primitives import serialization

    return (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize("secret", [b"canary", b"canary" * 5, _public_pem()])
def test_a_secret_that_is_short_or_public_is_refused_without_showing_it(secret: bytes) -> None:
    with pytest.raises(ValueError, match="a shared secret must") as refusal:
        secret_key("s", secret)
    assert "canary" not in str(refusal.value)
