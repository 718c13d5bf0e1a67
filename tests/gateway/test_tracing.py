"""Tracing: nothing runs while it is off; while it is on, a collector hears of every span, at the latest at the end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from pydantic import ValidationError

from gateway.tracing import Tracing, TracingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1 import trace_pb2

pytestmark = pytest.mark.integration


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OTLP collector that keeps what it is told."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[trace_pb2.Span] = []
        self.resource: dict[str, str] = {}

    def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802  # named by the .proto
        for group in request.resource_spans:
            self.resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            self.spans += [span for scope in group.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield collector
    server.stop(None).wait()


def test_off_is_the_default_and_starts_no_thread() -> None:
    before = set(threading.enumerate())
    tracing = Tracing(TracingSettings(), region="eu-1")
    span = tracing.tracer.start_span("session", attributes={"a": 1})
    span.add_event("first_partial")
    span.end()
    assert not span.is_recording()
    assert set(threading.enumerate()) == before
    tracing.close()
    tracing.close()


def test_the_collector_hears_of_a_span_with_its_events_when_tracing_closes(collector: Collector) -> None:
    tracing = Tracing(TracingSettings(otlp_endpoint=collector.endpoint), region="eu-1")
    span = tracing.tracer.start_span("session", attributes={"patchbay.transport": "grpc"})
    span.add_event("engine.lost", {"reason": "unreachable"})
    span.set_attribute("patchbay.audio_ms", 61_040)
    span.end()
    tracing.close()
    (heard,) = collector.spans
    assert heard.name == "session"
    values = {pair.key: pair.value.string_value or pair.value.int_value for pair in heard.attributes}
    assert values == {"patchbay.transport": "grpc", "patchbay.audio_ms": 61_040}
    (event,) = heard.events
    assert (event.name, event.attributes[0].value.string_value) == ("engine.lost", "unreachable")
    assert collector.resource["service.name"] == "patchbay-gateway"
    assert collector.resource["cloud.region"] == "eu-1"


def test_closing_ends_the_exporters_thread(collector: Collector) -> None:
    before = set(threading.enumerate())
    tracing = Tracing(TracingSettings(otlp_endpoint=collector.endpoint), region="eu-1")
    assert set(threading.enumerate()) != before
    tracing.close()
    assert not [thread for thread in set(threading.enumerate()) - before if "Otel" in thread.name]


def test_nothing_is_sampled_at_0_permille(collector: Collector) -> None:
    settings = TracingSettings(otlp_endpoint=collector.endpoint, sampled_permille=0)
    tracing = Tracing(settings, region="eu-1")
    for _ in range(20):
        tracing.tracer.start_span("session").end()
    tracing.close()
    assert collector.spans == []


@pytest.mark.parametrize("settings", [{"sampled_permille": -1}, {"sampled_permille": 1_001}, {"endpoint": "x"}])
def test_what_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TracingSettings.model_validate(settings)
