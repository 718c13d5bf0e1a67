"""What travels in grpc-status-details-bin: small enough for a header, and readable by anybody's client."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import TABLE, Reason
from gateway.wire.refusal import error_message
from gateway.wire.rpc_status import retry_after_ms_of, status_details, status_text

pytestmark = pytest.mark.unit

MAX_HEADERS_BYTES = 8_192


def test_a_limit_says_whose_it_is_and_when_to_come_again() -> None:
    error = error_message(Reason.quota_exhausted, "used up", retry_after_ms=1_500, level="org")
    details = status_details(error, grpc_code=8)
    assert details is not None
    status = status_pb2.Status.FromString(details)
    retry, quota = error_details_pb2.RetryInfo(), error_details_pb2.QuotaFailure()
    assert status.details[0].Unpack(retry)
    assert status.details[1].Unpack(quota)
    assert (status.code, status.message) == (8, "used up")
    assert retry.retry_delay.ToMilliseconds() == 1_500
    assert [(one.subject, one.description) for one in quota.violations] == [("org", "quota_exhausted")]


def test_a_fault_that_waiting_does_not_mend_has_no_details() -> None:
    assert status_details(error_message(Reason.token_expired), grpc_code=16) is None


@given(st.integers(0, 10**12))
def test_the_hint_is_read_back(retry_after_ms: int) -> None:
    details = status_details(error_message(Reason.no_capacity, retry_after_ms=retry_after_ms), grpc_code=8)
    assert details is not None
    assert retry_after_ms_of(details) == retry_after_ms


@given(st.binary(max_size=200))
def test_any_bytes_are_read(details: bytes) -> None:
    hint = retry_after_ms_of(details)
    assert hint is None or isinstance(hint, int)


@given(st.text(min_size=500, max_size=3_000))
def test_a_status_of_any_text_fits_into_headers(text: str) -> None:
    error = error_message(Reason.quota_exhausted, text, retry_after_ms=10**12, level="project")
    details = status_details(error, grpc_code=TABLE[Reason.quota_exhausted].grpc)
    assert details is not None
    told = quote(status_text(text).encode())
    assert len(told) + len(base64.b64encode(details)) < MAX_HEADERS_BYTES - 1_024
