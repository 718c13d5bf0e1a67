"""Where a token may come from."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.admission.carriers import agreed_token, token_of_request
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
