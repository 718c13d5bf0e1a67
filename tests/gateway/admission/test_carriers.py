"""Where a token may come from, and addresses without one."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission.carriers import QUERY_PARAMETERS, agreed_token, redact_url, token_of_request
from gateway.errors import AuthenticationFailed, Reason

pytestmark = pytest.mark.unit

T = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln"


@pytest.mark.parametrize(
    "request_parts",
    [
        {"authorization": [f"Bearer {T}"]},
        {"authorization": [f"bearer   {T} "]},
        {"authorization": [f"Token {T}"]},
        {"query": [("model", "x"), ("token", T)]},
        {"query": [("access_token", T)]},
        {"subprotocols": ["patchbay.v1", f"bearer.{T}"]},
        {"authorization": [f"Bearer {T}"], "query": [("token", T)], "subprotocols": [f"bearer.{T}"]},
        {"authorization": [f"Bearer {T}"], "query": [("token", "")]},
    ],
)
def test_a_token_is_found_wherever_clients_can_put_it(request_parts: dict[str, Any]) -> None:
    assert token_of_request(**request_parts) == T


@pytest.mark.parametrize(
    "request_parts",
    [
        {},
        {"authorization": ["Bearer"]},
        {"query": [("Token", T), ("q", T)]},
        {"subprotocols": ["patchbay.v1", "Bearer.x"]},
    ],
)
def test_a_request_without_a_token_has_none(request_parts: dict[str, Any]) -> None:
    assert token_of_request(**request_parts) is None


@pytest.mark.parametrize(
    "request_parts",
    [
        {"authorization": [f"Bearer {T}", "Bearer other"]},
        {"authorization": [f"Bearer {T}"], "query": [("token", "other")]},
        {"query": [("token", T), ("access_token", "other")]},
        {"subprotocols": [f"bearer.{T}", "bearer.other"]},
        {"authorization": [f"Basic {T}"]},
        {"authorization": [T]},
        {"authorization": [""]},
    ],
)
def test_two_tokens_or_another_scheme_are_malformed_and_not_shown(request_parts: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationFailed) as refusal:
        token_of_request(**request_parts)
    assert refusal.value.reason is Reason.token_malformed
    assert T not in str(refusal.value)


def test_the_first_message_may_carry_the_token_or_repeat_it_but_not_another() -> None:
    assert [agreed_token(None, None), agreed_token(T, None), agreed_token(None, T), agreed_token(T, T)] == [
        None,
        T,
        T,
        T,
    ]
    with pytest.raises(AuthenticationFailed, match="two different tokens"):
        agreed_token(T, "other")


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        (f"wss://h/v1/stream?model=a&token={T}&x=1", "wss://h/v1/stream?model=a&token=***&x=1"),
        (f"/v1/stream?%74oken={T}", "/v1/stream?%74oken=***"),
        ("/v1?TOKEN=abc;api_key=def", "/v1?TOKEN=***;api_key=***"),
        ("https://user:pass@h:1/p?q=1#token=abc", "https://***@h:1/p?q=1"),
        (f"/v1/{T}/x?q={T}", "/v1/***/x?q=***"),
        ("/v1?token", "/v1?token"),
        ("/v1?token=a=b", "/v1?token=***"),
        ("", ""),
    ],
)
def test_an_address_in_a_log_has_no_secret(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_redacted(url: str) -> None:
    redact_url(url)


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(QUERY_PARAMETERS)),
    before=st.text(alphabet="ab?&;=%/+#".replace("#", ""), max_size=12),
    escapes=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_whatever_we_would_read_as_a_token_is_not_in_the_redacted_address(
    name: str, before: str, escapes: list[bool]
) -> None:
    spelt = "".join(f"%{ord(c):02x}" if escape else c for c, escape in zip(name, escapes, strict=False))
    url = f"/v1/stream?{before}&{spelt}=canary"
    assert (name, "canary") in parse_qsl(urlsplit(url).query)
    assert "canary" not in redact_url(url)
