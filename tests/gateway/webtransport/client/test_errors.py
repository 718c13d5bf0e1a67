"""What a client may catch: all failures at once, or each by what can be done about it."""

from __future__ import annotations

import pytest

from gateway.webtransport.client.errors import (
    CannotConnect,
    NotTrusted,
    RefusedByStatus,
    SessionOver,
    WebTransportError,
)

pytestmark = pytest.mark.unit


def test_all_failures_have_one_base() -> None:
    for kind in (CannotConnect, NotTrusted, RefusedByStatus, SessionOver):
        assert issubclass(kind, WebTransportError)


def test_who_is_not_trusted_is_among_those_that_cannot_be_reached() -> None:
    assert issubclass(NotTrusted, CannotConnect)


def test_a_refusal_says_its_status() -> None:
    refusal = RefusedByStatus(503, (("retry-after", "5"),))
    assert (refusal.status, refusal.headers) == (503, (("retry-after", "5"),))
    assert "503" in str(refusal)
