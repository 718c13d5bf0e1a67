"""A reason as the client hears it."""

from __future__ import annotations

import pytest

from gateway.errors import TABLE, Reason, SessionRefused, WrongRegion
from gateway.wire.messages import ErrorMessage
from gateway.wire.refusal import error_message, error_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_can_be_told_with_its_row(reason: Reason) -> None:
    row = TABLE[reason]
    told = error_message(reason)
    assert told == ErrorMessage(
        reason=reason.value, message=row.meaning, retryable=row.retryable, retry_after_ms=row.retry_after_ms
    )


def test_a_detail_and_a_time_of_its_own_go_before_the_rows() -> None:
    refusal = SessionRefused(Reason.no_capacity, "all 64 slots are taken", retry_after_ms=50)
    told = error_of(refusal)
    assert (told.message, told.retry_after_ms) == ("all 64 slots are taken", 50)


def test_a_refusal_by_region_names_where_to_go_instead() -> None:
    gateways = ("wss://eu.example/v1/stream", "grpcs://eu.example")
    told = error_of(WrongRegion("the profile `eu` excludes us-east", gateways))
    assert (told.reason, told.retryable, told.gateways) == ("wrong_region", False, gateways)
