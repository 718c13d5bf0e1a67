"""The fields of a usage event in the stream `{org}:meter`: what the settle script writes and the exporter reads. Pure.

The script writes all of them, in this order (Redis then stores the names once for many entries):

    field            text
    first            number of the first slice, decimal
    last             number of the last slice, decimal
    compute_us       decimal, never negative
    audio_ms         decimal
    conn_ms          connection_ms, decimal
    audio_before_ms  decimal
    conn_before_ms   connection_before_ms, decimal
    at_ms            Unix time of the end of the last slice, decimal; the hour that the event is billed in
    is_last          1: nothing of the session follows; 0
    labels           TabLabels as one JSON object, the text that the gateway gave, unchanged

Decimal: digits alone, no sign, exponent or leading zeros (`string.format('%.0f', n)` in Lua). Fields that a later
version adds are passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from gateway.metering.entries import TabLabels, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z", re.ASCII)
_LABELS = msgspec.json.Decoder(TabLabels)


class MalformedEntry(Exception):
    """An entry of a meter stream that no settle script of ours wrote; `str()` says what is wrong with it."""


def encode_labels(labels: TabLabels) -> str:
    """The text of the field `labels`, also in the tab."""
    return msgspec.json.encode(labels).decode()


def encode_event(event: UsageEvent) -> dict[str, str]:
    """The fields in their order: what the script writes for this event."""
    return {
        "first": str(event.first),
        "last": str(event.last),
        "compute_us": str(event.compute_us),
        "audio_ms": str(event.audio_ms),
        "conn_ms": str(event.connection_ms),
        "audio_before_ms": str(event.audio_before_ms),
        "conn_before_ms": str(event.connection_before_ms),
        "at_ms": str(event.at_ms),
        "is_last": "1" if event.is_last else "0",
        "labels": encode_labels(event.labels),
    }


def decode_event(fields: Mapping[bytes, bytes]) -> UsageEvent:
    """Raises MalformedEntry."""
    try:
        labels = _LABELS.decode(fields[b"labels"])
    except KeyError:
        raise MalformedEntry("no field labels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEntry(f"labels: {error}") from None
    event = UsageEvent(
        labels=labels,
        first=_decimal(fields, "first"),
        last=_decimal(fields, "last"),
        compute_us=_decimal(fields, "compute_us"),
        audio_ms=_decimal(fields, "audio_ms"),
        connection_ms=_decimal(fields, "conn_ms"),
        audio_before_ms=_decimal(fields, "audio_before_ms"),
        connection_before_ms=_decimal(fields, "conn_before_ms"),
        at_ms=_decimal(fields, "at_ms"),
        is_last=_decimal(fields, "is_last") == 1,
    )
    if event.last < event.first:
        raise MalformedEntry("last is before first")
    return event


def _decimal(fields: Mapping[bytes, bytes], name: str) -> int:
    try:
        text = fields[name.encode()].decode("ascii")
    except KeyError:
        raise MalformedEntry(f"no field {name}") from None
    except UnicodeDecodeError:
        raise MalformedEntry(f"{name} is no number") from None
    if not _DECIMAL.match(text):
        raise MalformedEntry(f"{name} is no number")
    return int(text)
