"""A sink from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.metering.sinks.cloud_event_batches import CloudEventBatches
from gateway.metering.sinks.json_lines import JsonLines
from gateway.metering.sinks.settings import (
    HttpSinkSettings,
    JsonLinesSettings,
    OpenMeterSettings,
    StripeEventStreamSettings,
    StripeMeterEventsSettings,
)
from gateway.metering.sinks.stripe_event_stream import StripeEventStream
from gateway.metering.sinks.stripe_meter_events import StripeMeterEvents

if TYPE_CHECKING:
    from gateway.metering.sinks.interface import Sink
    from gateway.metering.sinks.settings import AnySinkSettings


def make_sink(settings: AnySinkSettings, *, source: str) -> Sink:
    """Within a running loop. `source`: of the CloudEvents."""
    match settings:
        case HttpSinkSettings() | OpenMeterSettings():
            return CloudEventBatches(settings, source=source)
        case StripeMeterEventsSettings():
            return StripeMeterEvents(settings)
        case StripeEventStreamSettings():
            return StripeEventStream(settings)
        case JsonLinesSettings():
            return JsonLines(settings, source=source)
