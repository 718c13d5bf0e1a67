"""The HTTP fields that say which limit refused, and when to come again.

Source: draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), §3 and §4; Structured Fields (RFC 9651). Both fields are
lists; ours have one item, the narrowest limit that refused:

    RateLimit-Policy: "org-compute";q=60000;qu="compute-ms";w=60
    RateLimit: "org-compute";r=0;t=2

The draft's registry of units has none for compute, so `compute-ms` (milliseconds of compute) is our own. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import AddressRefused, QuotaRefused, Reason

if TYPE_CHECKING:
    from gateway.errors import SessionRefused

_US_PER_MS = 1_000
_MAX_INTEGER = 999_999_999_999_999
"""RFC 9651 §3.3.1: an Integer has 15 digits."""
_CONCURRENT = ';qu="concurrent-requests"'
_COMPUTE = ';qu="compute-ms"'


def retry_after_s(retry_after_ms: int) -> int:
    """`Retry-After` has whole seconds (RFC 9110 §10.2.3): rounded up, at least one."""
    return max(1, -(-retry_after_ms // 1_000))


def policy_name(refusal: SessionRefused) -> str | None:
    """What the limit that refused is called in every protocol; None for a refusal of another kind."""
    match refusal:
        case AddressRefused():
            return f"address-{refusal.limit_name}"
        case QuotaRefused():
            return f"{refusal.level.value}-{_WHAT[refusal.reason]}"
        case _:
            return None


_WHAT = {
    Reason.quota_exhausted: "compute",
    Reason.concurrency_limit: "sessions",
    Reason.start_rate_limit: "starts",
}


def rate_limit_fields(refusal: SessionRefused) -> dict[str, str]:
    """The fields for a refusal by a limit; none for others."""
    name = policy_name(refusal)
    if name is None or not isinstance(refusal, AddressRefused | QuotaRefused):
        return {}
    quota, left, unit = _amounts(refusal)
    window = "" if refusal.window_s is None else f";w={refusal.window_s}"
    effective = "" if refusal.retry_after_ms is None else f";t={retry_after_s(refusal.retry_after_ms)}"
    return {
        "RateLimit-Policy": f'"{name}";q={min(quota, _MAX_INTEGER)}{unit}{window}',
        "RateLimit": f'"{name}";r={min(left, _MAX_INTEGER)}{effective}',
    }


def _amounts(refusal: AddressRefused | QuotaRefused) -> tuple[int, int, str]:
    """Quota, what is left of it, and its unit as a parameter; "requests" needs none."""
    if isinstance(refusal, AddressRefused):
        return refusal.limit, 0, "" if refusal.window_s is not None else _CONCURRENT
    remaining = max(0, refusal.remaining)
    if refusal.reason is Reason.quota_exhausted:
        return refusal.limit // _US_PER_MS, remaining // _US_PER_MS, _COMPUTE
    return refusal.limit, remaining, _CONCURRENT if refusal.reason is Reason.concurrency_limit else ""
