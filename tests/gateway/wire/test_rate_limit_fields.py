"""The RateLimit fields, read back as Structured Fields (RFC 9651) by the rules that ours need."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AddressRefused, QuotaRefused, Reason, SessionRefused, Unavailable
from gateway.wire.rate_limit_fields import policy_name, rate_limit_fields, retry_after_s
from policies.plans import MAX_BURST, Level

pytestmark = pytest.mark.unit

_ITEM = re.compile(
    r'"(?P<name>[ -!#-\[\]-~]*)"(?P<parameters>(?:;[a-z*][a-z0-9_.*-]*=(?:-?[0-9]{1,15}|"[ -!#-\[\]-~]*"))*)'
)
"""A list of one String with parameters that are Integers or Strings: RFC 9651 §3.1.2, §3.3."""


def read(field: str) -> tuple[str, dict[str, int | str]]:
    item = _ITEM.fullmatch(field)
    assert item is not None, field
    parameters: dict[str, int | str] = {}
    for piece in item["parameters"].split(";")[1:]:
        name, _, value = piece.partition("=")
        parameters[name] = value.strip('"') if value.startswith('"') else int(value)
    return item["name"], parameters


def test_compute_is_told_in_milliseconds_of_compute() -> None:
    refusal = QuotaRefused(
        Reason.quota_exhausted, retry_after_ms=1_500, level=Level.org, remaining=250_900, limit=60_000_000, window_s=60
    )
    assert rate_limit_fields(refusal) == {
        "RateLimit-Policy": '"org-compute";q=60000;qu="compute-ms";w=60',
        "RateLimit": '"org-compute";r=250;t=2',
    }


def test_sessions_are_concurrent_and_have_no_window() -> None:
    refusal = QuotaRefused(Reason.concurrency_limit, retry_after_ms=1_000, level=Level.key, remaining=0, limit=5)
    assert rate_limit_fields(refusal) == {
        "RateLimit-Policy": '"key-sessions";q=5;qu="concurrent-requests"',
        "RateLimit": '"key-sessions";r=0;t=1',
    }


def test_starts_are_requests() -> None:
    refusal = QuotaRefused(
        Reason.start_rate_limit, retry_after_ms=100, level=Level.project, remaining=0, limit=10, window_s=5
    )
    assert rate_limit_fields(refusal) == {
        "RateLimit-Policy": '"project-starts";q=10;w=5',
        "RateLimit": '"project-starts";r=0;t=1',
    }


def test_an_address_has_limits_of_the_same_kinds() -> None:
    fast = AddressRefused("", retry_after_ms=2_000, limit_name="handshakes", limit=200, window_s=20)
    assert rate_limit_fields(fast)["RateLimit-Policy"] == '"address-handshakes";q=200;w=20'
    many = AddressRefused("", retry_after_ms=2_000, limit_name="pending", limit=100, window_s=None)
    assert rate_limit_fields(many)["RateLimit-Policy"] == '"address-pending";q=100;qu="concurrent-requests"'


@pytest.mark.parametrize("refusal", [SessionRefused(Reason.token_expired), Unavailable(Reason.no_capacity)])
def test_what_is_no_limit_of_the_caller_has_no_fields(refusal: SessionRefused) -> None:
    assert rate_limit_fields(refusal) == {}
    assert policy_name(refusal) is None


@given(
    reason=st.sampled_from([Reason.quota_exhausted, Reason.concurrency_limit, Reason.start_rate_limit]),
    level=st.sampled_from(list(Level)),
    remaining=st.integers(-MAX_BURST, MAX_BURST),
    limit=st.integers(0, MAX_BURST),
    retry_after_ms=st.integers(0, 10**9),
    window_s=st.none() | st.integers(1, 10**9),
)
def test_the_fields_are_well_formed_and_agree_with_retry_after(
    reason: Reason, level: Level, remaining: int, limit: int, retry_after_ms: int, window_s: int | None
) -> None:
    """Also a debt is no negative number, and `t` is not later than Retry-After (§6 of the draft)."""
    refusal = QuotaRefused(
        reason, retry_after_ms=retry_after_ms, level=level, remaining=remaining, limit=limit, window_s=window_s
    )
    fields = rate_limit_fields(refusal)
    policy, quota = read(fields["RateLimit-Policy"])
    name, left = read(fields["RateLimit"])
    assert policy == name == policy_name(refusal)
    assert isinstance(left["r"], int)
    assert left["r"] >= 0
    assert left["t"] == retry_after_s(retry_after_ms) >= 1
    assert quota.get("w", 1) != 0
