"""Stripe's late reports of bad meter events: their signature, and which usage events they name. Pure.

Source: docs.stripe.com, "Webhooks" (Verify manually); API reference, `v1.billing.meter.error_report_triggered` and
`v1.billing.meter.no_meter_found`.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.metering.sinks.stripe_lines import event_of

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORTS = frozenset({"v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"})


@dataclass(frozen=True, slots=True)
class BadEvent:
    """`event_id`: of the usage event. `code`: Stripe's, such as `meter_event_customer_not_found`.

    `times_reported`: how often it had been reported when the call that this is about was made.
    """

    event_id: str
    code: str
    message: str
    times_reported: int = 0


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Stripe names only samples: `unnamed` errors are of events that it does not name."""

    bad: tuple[BadEvent, ...]
    unnamed: int


def is_signed(header: str, body: bytes, *, secret: str, now_s: float, tolerance_s: int) -> bool:
    """Whether one of the signatures is right and its time is near; compared in constant time."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _mark, value in parts if name == "t"]
    if len(times) != 1 or not times[0].isdecimal() or len(times[0]) > 12:
        return False
    if abs(now_s - int(times[0])) > tolerance_s:
        return False
    expected = hmac.new(secret.encode(), f"{times[0]}.".encode() + body, hashlib.sha256).hexdigest()
    given = [value for name, _mark, value in parts if name == "v1"]
    return any(hmac.compare_digest(expected.encode(), value.encode()) for value in given)


def report_of(event: Mapping[str, Any]) -> ErrorReport | None:
    """None where the event carries no data: a thin one, whose whole must be fetched."""
    data = event.get("data")
    reason = data.get("reason") if isinstance(data, dict) else None
    if not isinstance(reason, dict):
        return None
    bad: list[BadEvent] = []
    errors = 0
    for kind in _tables(reason.get("error_types")):
        code = str(kind.get("code", "unknown"))[:64]
        count = kind.get("error_count", 0)
        errors += count if isinstance(count, int) else 0
        for sample in _tables(kind.get("sample_errors")):
            request = sample.get("request")
            identifier = request.get("identifier") if isinstance(request, dict) else None
            if isinstance(identifier, str):
                event_id, times = event_of(identifier)
                bad.append(BadEvent(event_id, code, str(sample.get("error_message", ""))[:300], times))
    return ErrorReport(tuple(bad), max(0, errors - len(bad)))


def _tables(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
