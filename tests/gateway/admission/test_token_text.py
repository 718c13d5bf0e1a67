"""Before any key is looked for: shape, header, issuer."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission.token_text import Unproven, read_unproven
from gateway.errors import AuthenticationFailed, Reason

pytestmark = pytest.mark.unit

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
HEADER = {"alg": "ES256", "typ": "JWT", "kid": "k1"}
PAYLOAD = {"iss": "https://issuer.example/"}


def _read(token: str) -> Unproven:
    return read_unproven(token, max_token_bytes=8_192, algorithms=ALGORITHMS)


def _token(kit: Any, header: Any = None, payload: Any = None) -> str:
    def part(value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        return kit.base64url(text.encode())

    return f"{part(HEADER if header is None else header)}.{part(PAYLOAD if payload is None else payload)}.c2ln"


def _reason(token: str) -> Reason:
    with pytest.raises(AuthenticationFailed) as refusal:
        _read(token)
    assert refusal.value.__context__ is None
    return refusal.value.reason


def test_a_token_says_which_key_could_prove_it(kit: Any) -> None:
    assert _read(_token(kit)) == Unproven(kid="k1", algorithm="ES256", issuer="https://issuer.example/")


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_the_usual_types_are_read(kit: Any, kind: str) -> None:
    _read(_token(kit, HEADER | {"typ": kind}))


def test_a_token_of_the_largest_size_is_read_and_one_byte_more_is_not(kit: Any) -> None:
    token = _token(kit)
    read_unproven(token, max_token_bytes=len(token), algorithms=ALGORITHMS)
    with pytest.raises(AuthenticationFailed, match="longer than"):
        read_unproven(token, max_token_bytes=len(token) - 1, algorithms=ALGORITHMS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "..",
        "a..c",
        "a.b.",
        " a.b.c",
        "a.b.c\n",
        "a=.b.c",
        "a+.b/.c",
        "é.b.c",
        "\ud800.a.b",
        "x" * 9_000,
        "e30.e30.e30",
        "bnVsbA.bnVsbA.bnVsbA",
        "W10.W10.W10",
    ],
)
def test_what_is_not_a_compact_signed_token_is_malformed(text: str) -> None:
    assert _reason(text) in {Reason.token_malformed, Reason.token_algorithm_refused}


@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "NONE", "nOnE", "", "none ", "HS256", "hs256", "es256", "ES256 ", None, 0, [], ["ES256"], {}, ...],
)
def test_only_an_algorithm_of_the_settings_spelt_exactly_is_accepted(kit: Any, algorithm: Any) -> None:
    header = {name: value for name, value in (HEADER | {"alg": algorithm}).items() if value is not ...}
    assert _reason(_token(kit, header)) is Reason.token_algorithm_refused


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "'; DROP TABLE keys;--"},
        {"kid": "x" * 129},
        {"kid": "ключ"},
        {"kid": "a\x00b"},
        {"kid": ""},
        {"kid": None},
        {"kid": 7},
        {"kid": ["k1"]},
        {"kid": {"k1": 1}},
        {"kid": ...},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False},
        {"b64": True},
        {"jku": "https://evil.example/keys.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5c": ["AAAA"]},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 1},
        {"cty": "JWT"},
    ],
)
def test_a_header_that_asks_for_more_than_a_named_key_is_malformed(kit: Any, change: dict[str, Any]) -> None:
    header = {name: value for name, value in (HEADER | change).items() if value is not ...}
    assert _reason(_token(kit, header)) is Reason.token_malformed


@pytest.mark.parametrize(
    "header",
    ['{"alg":"none","alg":"ES256","kid":"k1"}', '{"alg":"ES256","kid":"k1","kid":"k2"}', "[" * 3_000, "{", "7", "NaN"],
)
def test_a_header_that_two_readers_could_read_differently_is_malformed(kit: Any, header: str) -> None:
    assert _reason(_token(kit, header)) is Reason.token_malformed


@pytest.mark.parametrize(
    "payload",
    ['{"iss":"a","iss":"b"}', '{"iss":"a","x":{"y":1,"y":2}}', "e30.e30.e30", '"text"', '{"iss":"a","exp":1e999}'],
)
def test_a_payload_that_two_readers_could_read_differently_is_malformed(kit: Any, payload: str) -> None:
    assert _reason(_token(kit, payload=payload)) is Reason.token_malformed


@pytest.mark.parametrize("issuer", [None, 1, ["https://issuer.example/"], ...])
def test_a_token_without_an_issuer_has_invalid_claims(kit: Any, issuer: Any) -> None:
    assert _reason(_token(kit, payload={} if issuer is ... else {"iss": issuer})) is Reason.token_claims_invalid


@settings(deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"\A[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,20}\Z"))
def test_any_text_is_read_or_fails_authentication(text: str) -> None:
    with contextlib.suppress(AuthenticationFailed):
        _read(text)
