"""OpenTelemetry spans: one a session, with events in it. Nothing is exported unless an endpoint is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


class TracingSettings(BaseModel, frozen=True, extra="forbid"):
    """`otlp_endpoint`: an OTLP/gRPC collector, e.g. `http://127.0.0.1:4317`; empty means off."""

    otlp_endpoint: str = ""
    sampled_permille: int = Field(default=1_000, ge=0, le=1_000)


class Tracing:
    """Owns the exporter of one process; a no-op while off."""

    def __init__(self, settings: TracingSettings, *, region: str) -> None:
        self._provider = None
        if settings.otlp_endpoint:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

            self._provider = TracerProvider(
                resource=Resource.create({"service.name": "patchbay-gateway", "cloud.region": region}),
                sampler=ParentBased(TraceIdRatioBased(settings.sampled_permille / 1_000)),
            )
            self._provider.add_span_processor(
                BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=True))
            )

    @property
    def tracer(self) -> Tracer:
        provider = self._provider if self._provider is not None else trace.NoOpTracerProvider()
        return provider.get_tracer("patchbay.gateway")

    def close(self) -> None:
        """Send what is left; waits for the collector as long as the exporter's own time-out says."""
        if self._provider is not None:
            self._provider.shutdown()
