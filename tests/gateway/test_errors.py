"""The table of reasons: one row each, codes that the protocols allow, no engine error without a meaning."""

from __future__ import annotations

import grpc
import pytest

from engines.errors import EngineError
from gateway.errors import (
    ENGINE_ERRORS,
    TABLE,
    AuthenticationFailed,
    ClientFault,
    Fault,
    Reason,
    SessionRefused,
    Unavailable,
)

pytestmark = pytest.mark.unit


def subclasses(of: type[EngineError]) -> set[type[EngineError]]:
    below = {deeper for child in of.__subclasses__() for deeper in subclasses(child)}
    return {of} | below


def test_every_reason_has_a_row_and_every_row_a_reason() -> None:
    assert set(TABLE) == set(Reason)


def test_every_engine_error_has_a_reason() -> None:
    assert subclasses(EngineError) == set(ENGINE_ERRORS)


@pytest.mark.parametrize("reason", list(Reason))
def test_codes_are_ones_that_may_be_sent(reason: Reason) -> None:
    row = TABLE[reason]
    sendable = {1000, 1001, 1009, 1011, 1012}  # RFC 6455 §7.4.1 and the IANA registry; 1005, 1006, 1015 may not be sent
    assert row.ws_close in sendable or 4000 <= row.ws_close <= 4999
    assert row.http == 200 or 400 <= row.http <= 599
    assert row.grpc in {code.value[0] for code in grpc.StatusCode}


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_says_when_to_try_again_exactly_if_that_helps(reason: Reason) -> None:
    row = TABLE[reason]
    assert row.retryable == (row.fault in (Fault.ours_for_now, Fault.limit))
    assert (row.retry_after_ms is not None) == row.retryable


@pytest.mark.parametrize("kind", [SessionRefused, ClientFault, AuthenticationFailed, Unavailable])
def test_a_refusal_carries_its_reason_and_a_sentence(kind: type[SessionRefused]) -> None:
    assert kind(Reason.no_capacity).detail == TABLE[Reason.no_capacity].meaning
    assert kind(Reason.no_capacity).retry_after_ms == 2_000
    own = kind(Reason.no_capacity, "all taken", retry_after_ms=7)
    assert (own.detail, own.retry_after_ms, str(own)) == ("all taken", 7, "all taken")
