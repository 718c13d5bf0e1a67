"""Stripe's late reports: signatures, and the events that they name."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.sinks.stripe_reports import BadEvent, ErrorReport, is_signed, report_of

pytestmark = pytest.mark.unit

ID = "00000000-0000-5000-8000-000000000000"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "reason", "error_types", "code", "error_count", "sample_errors", "request", "identifier"]
            ),
            inner,
            max_size=3,
        )
    ),
)


def signature(body: bytes, *, secret: str = "s", at_s: int = 1_000) -> str:
    return hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("header", "is_right"),
    [
        ("t=1000,v1={right}", True),
        ("t=1000,v1={wrong},v1={right}", True),
        ("t=1000, v1={right}, v0=x", True),
        ("t=1000,v1={wrong}", False),
        ("t=1001,v1={right}", False),
        ("t=1000,t=1000,v1={right}", False),
        ("v1={right}", False),
        ("t=1000", False),
        ("t=now,v1={right}", False),
        ("", False),
        ("t=1000,v1=é", False),
    ],
)
def test_only_the_right_signature_is_right(header: str, is_right: bool) -> None:
    body = b"{}"
    given_header = header.format(right=signature(body), wrong=signature(body, secret="other"))
    assert is_signed(given_header, body, secret="s", now_s=1_010.0, tolerance_s=300) is is_right


@pytest.mark.parametrize(("now_s", "is_near"), [(699.0, False), (700.0, True), (1_300.0, True), (1_301.0, False)])
def test_an_old_signature_is_played_again_by_somebody(now_s: float, is_near: bool) -> None:
    header = f"t=1000,v1={signature(b'x')}"
    assert is_signed(header, b"x", secret="s", now_s=now_s, tolerance_s=300) is is_near


def test_a_report_names_samples_and_counts_the_others() -> None:
    samples = [{"error_message": "Customer not found", "request": {"identifier": f"{ID}-beam"}}]
    kinds = [{"code": "meter_event_customer_not_found", "error_count": 3, "sample_errors": samples}]
    assert report_of({"data": {"reason": {"error_types": kinds}}}) == ErrorReport(
        (BadEvent(ID, "meter_event_customer_not_found", "Customer not found"),), unnamed=2
    )


def test_a_thin_event_has_no_report() -> None:
    assert report_of({"id": "evt_1", "type": "v1.billing.meter.no_meter_found"}) is None


@given(event=st.dictionaries(st.sampled_from(["data", "reason"]), JSON, max_size=2))
def test_any_event_is_a_report_or_none(event: dict[str, object]) -> None:
    report = report_of(event)
    assert report is None or report.unnamed >= 0
