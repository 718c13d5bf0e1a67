"""A resume token is believed when one of our keys made it for this purpose, and says nothing secret."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.errors import ClientFault, Reason
from gateway.resumption.resume_token import ResumeClaims, ResumeTokens
from gateway.resumption.settings import ResumptionSettings
from gateway.resumption.token_keys import load_token_keys

pytestmark = pytest.mark.unit

OLD, NEW, OTHER = ("o" * 64, "n" * 64, "x" * 64)
CLAIMS = ResumeClaims(
    session_id="s",
    org="acme",
    project="web",
    home="eu-west",
    profile="eu",
    generation=2,
    began_at_s=1_000,
    expires_at_s=2_000,
    options={"language": "0123456789ab"},
)


def tokens_of(*keys: str) -> ResumeTokens:
    return ResumeTokens(load_token_keys(ResumptionSettings(keys=tuple(map(SecretStr, keys)))))


def reason_of(tokens: ResumeTokens, token: str, *, now_s: int = 1_500) -> Reason:
    with pytest.raises(ClientFault) as fault:
        tokens.read(token, now_s=now_s)
    assert len(token) < 40 or token not in fault.value.detail
    return fault.value.reason


def test_a_token_says_what_it_was_made_for() -> None:
    assert tokens_of(NEW).read(tokens_of(NEW).sign(CLAIMS), now_s=1_999) == CLAIMS


def test_a_key_that_signs_no_more_is_believed_while_it_is_listed() -> None:
    token = tokens_of(OLD).sign(CLAIMS)
    assert tokens_of(NEW, OLD).read(token, now_s=1_500) == CLAIMS
    assert reason_of(tokens_of(NEW), token) is Reason.resume_token_invalid
    assert tokens_of(NEW).read(tokens_of(NEW, OLD).sign(CLAIMS), now_s=1_500) == CLAIMS


def test_a_token_ends_when_it_says() -> None:
    assert reason_of(tokens_of(NEW), tokens_of(NEW).sign(CLAIMS), now_s=2_000) is Reason.resume_expired


def test_a_token_that_was_changed_is_not_believed() -> None:
    head, _, signature = tokens_of(NEW).sign(CLAIMS).split(".")
    body = base64.urlsafe_b64encode(json.dumps({"sid": "other", "aud": "patchbay/resume", "exp": 9_999}).encode())
    assert reason_of(tokens_of(NEW), f"{head}.{body.decode().rstrip('=')}.{signature}") is Reason.resume_token_invalid


@pytest.mark.parametrize(
    ("headers", "audience", "key", "algorithm"),
    [
        ({"typ": "JWT"}, "patchbay/resume", NEW, "HS256"),
        ({"typ": "patchbay-resume+jwt"}, "patchbay", NEW, "HS256"),
        ({"typ": "patchbay-resume+jwt"}, "patchbay/resume", OTHER, "HS256"),
        ({"typ": "patchbay-resume+jwt"}, "patchbay/resume", NEW, "HS512"),
        ({"typ": "patchbay-resume+jwt"}, "patchbay/resume", "", "none"),
    ],
)
def test_a_token_of_another_kind_is_none(headers: dict[str, str], audience: str, key: str, algorithm: str) -> None:
    kid = jwt.get_unverified_header(tokens_of(NEW).sign(CLAIMS))["kid"]
    said = jwt.decode(tokens_of(NEW).sign(CLAIMS), options={"verify_signature": False})
    forged = jwt.encode({**said, "aud": audience}, key, algorithm=algorithm, headers={**headers, "kid": kid})
    assert reason_of(tokens_of(NEW), forged) is Reason.resume_token_invalid


@given(st.text(max_size=200))
def test_whatever_comes_is_a_token_or_a_typed_fault(text: str) -> None:
    assert reason_of(tokens_of(NEW), text) is Reason.resume_token_invalid
