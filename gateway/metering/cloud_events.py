"""A usage event as a CloudEvent 1.0 in JSON: what every receiver but Stripe is sent. No content: numbers and names.

Source: CloudEvents specification 1.0.2, JSON format 1.0.2 (structured mode §3, batches §4).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from policies.plans import Rater
from policies.rating import RECOGNITION, Line, Used, rated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.metering.entries import UsageEvent

TYPE = "dev.patchbay.usage.v1"
SINGLE_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json; charset=utf-8"


class UnknownRater(Exception):
    """The event names a rater that this version does not have."""


def lines_of(event: UsageEvent) -> tuple[Line, ...]:
    """What the event counts for on the bill. Raises UnknownRater."""
    try:
        rater = Rater(event.labels.rater)
    except ValueError:
        raise UnknownRater(event.labels.rater) from None
    return rated(
        rater,
        Used(event.audio_ms, event.connection_ms),
        before=Used(event.audio_before_ms, event.connection_before_ms),
        add_ons=event.labels.add_ons,
    )


def cloud_event(event: UsageEvent, *, source: str) -> dict[str, Any]:
    """Raises UnknownRater. `data` is flat, so that a receiver can name a value by a path (`$.compute_us`)."""
    labels = event.labels
    recognition, *add_ons = lines_of(event)
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": TYPE,
        "subject": labels.org,
        "time": rfc3339(event.at_ms),
        "datacontenttype": "application/json",
        "data": {
            "compute_us": event.compute_us,
            "audio_ms": event.audio_ms,
            "connection_ms": event.connection_ms,
            "item": RECOGNITION,
            "unit": recognition.unit.value,
            "quantity": recognition.quantity,
            "amount": recognition.amount,
            "add_ons": {line.item: line.quantity for line in add_ons},
            "project": labels.project,
            "key": labels.key,
            "plan": labels.plan,
            "rater": labels.rater,
            "rating_version": labels.rating_version,
            "region": labels.region,
            "session": labels.session_id,
            "first_slice": event.first,
            "last_slice": event.last,
            "is_last": event.is_last,
        },
    }


def encode_batch(events: Iterable[UsageEvent], *, source: str) -> bytes:
    """The body under BATCH_CONTENT_TYPE. Raises UnknownRater."""
    return msgspec.json.encode([cloud_event(event, source=source) for event in events])


def encode_single(event: UsageEvent, *, source: str) -> bytes:
    """The body under SINGLE_CONTENT_TYPE, and a line of a file. Raises UnknownRater."""
    return msgspec.json.encode(cloud_event(event, source=source))


def rfc3339(at_ms: int) -> str:
    """UTC, with milliseconds."""
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % 1_000:03d}Z"
