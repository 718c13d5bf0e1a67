"""A gateway with real transports and real admission in the test's own process; only its engines are a fake."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
from aiohttp import web
from opentelemetry import trace
from pydantic import SecretStr

from gateway.admission.addresses import AddressLimits
from gateway.admission.admit import Admission, AdmissionSteps, LocalSessionLimits
from gateway.admission.metrics import AdmissionMetrics
from gateway.admission.revocation_check import NothingRevoked
from gateway.admission.settings import AddressSettings, IssuerSettings, SessionLimitSettings, TokenSettings
from gateway.admission.tokens import token_verifier
from gateway.audio.decoders import AudioDecoders
from gateway.audio.settings import AudioSettings
from gateway.cli.connection import TransportChoice, connect
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, DevClaims, DevKeys, create_or_load
from gateway.limits.settings import CreditSettings
from gateway.metrics import GatewayMetrics
from gateway.reception import House, Reception, monotonic_ms, monotonic_us
from gateway.resumption.metrics import ResumptionMetrics
from gateway.resumption.points import StoredCommitPoints
from gateway.resumption.resumption import Resumption
from gateway.resumption.settings import ResumptionSettings
from gateway.resumption.token_keys import load_token_keys
from gateway.session_registry import SessionRegistry
from gateway.session_settings import SessionSettings
from gateway.transports import regions_http
from gateway.transports.grpc_stream import SpeechService
from gateway.transports.regions_http import RegionsHttp
from gateway.transports.websocket import PATH, WebSocketTransport
from gateway.webtransport.client.trust import CertificateHash
from tests.fakes.engine_pool import FakePool
from tests.fakes.plans import UnlimitedPlans
from tests.fakes.whole_placement import WholePlacement
from tests.harness.this_region_only import ThisRegionOnly
from tests.harness.webtransport_edge import EdgeBeside, edge_beside

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from gateway.cli.connection import Connection


@dataclass
class GatewayInProcess:
    """Where it listens, and its parts for a test to look at."""

    websocket: str
    grpc: str
    keys: DevKeys
    pool: FakePool
    registry: SessionRegistry
    reception: Reception
    metrics: GatewayMetrics
    webtransport: EdgeBeside
    urls: dict[str, str] = field(default_factory=dict)
    """By the names of gateway.cli.connection.TransportChoice."""

    def connect(
        self, transport: str, token: str, *, resume_token: str = "", has_datagrams: bool = False
    ) -> contextlib.AbstractAsyncContextManager[Connection]:
        """As `patchbay transcribe` does."""
        trust = CertificateHash((self.webtransport.certificate_sha256,))
        return connect(
            self.urls[transport],
            token,
            protocol=TransportChoice(transport),
            resume_token=resume_token,
            webtransport=WebTransportChoices(trust, has_datagrams=has_datagrams),
        )

    def token(self, **claims: Any) -> str:
        ttl_s = claims.pop("ttl_s", 600)
        return self.keys.mint(DevClaims(**claims), ttl_s=ttl_s, now_s=int(time.time()))

    def refusals(self) -> dict[tuple[str, str], float]:
        """Closed sessions by transport and reason, as the metric counts them."""
        return {
            (sample.labels["transport"], sample.labels["reason"]): sample.value
            for metric in self.metrics.sessions_closed.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }


def resumption_of(registry: CollectorRegistry) -> Resumption:
    """Without a Redis: this gateway alone knows its sessions."""
    keys = (SecretStr("a key that other gateways have as well"),)
    settings = ResumptionSettings(keys=keys, resume_at=("ws://here/v1/stream", "grpc://here"))
    points = StoredCommitPoints(settings, None, ResumptionMetrics(registry), region="here")
    return Resumption(settings, load_token_keys(settings), points, region="here", now_s=time.time)


@contextlib.asynccontextmanager
async def running_gateway(
    state: Path,
    loop: asyncio.AbstractEventLoop,
    *,
    pool: FakePool | None = None,
    sessions: SessionSettings | None = None,
    max_sessions: int = 100,
    leeway_s: int = 0,
    addresses: AddressSettings | None = None,
    webtransport: Mapping[str, Any] | None = None,
    steps: Callable[[AdmissionSteps], AdmissionSteps] = lambda standard: standard,
) -> AsyncIterator[GatewayInProcess]:
    """Listen on loopback; the caller sweeps deadlines with `registry.sweep`, or runs `sweep_for_ever`.

    Args:
        webtransport: settings of its edge that are not the standard ones.
        steps: gives those of admission, from the standard ones.
    """
    keys = create_or_load(state)
    issuer = IssuerSettings(
        issuer=DEV_ISSUER,
        audience=DEV_AUDIENCE,
        algorithms=(DEV_ALGORITHM,),
        static_keys=tuple(keys.jwks()["keys"]),
    )
    tokens = TokenSettings(issuers=(issuer,), leeway_s=leeway_s)
    limits = SessionLimitSettings(max_sessions=max_sessions, max_sessions_per_tenant=max_sessions)
    metrics = GatewayMetrics()
    registry = SessionRegistry(metrics, monotonic_ms)
    fake = pool or FakePool()
    async with aiohttp.ClientSession() as http:
        standard = AdmissionSteps(
            AddressLimits(addresses or AddressSettings(), AdmissionMetrics(metrics.registry), monotonic_us),
            token_verifier(tokens, http),
            NothingRevoked(),
            ThisRegionOnly("here"),
            UnlimitedPlans(),
            LocalSessionLimits(limits),
        )
        reception = Reception(
            House(
                region="here",
                admission=Admission(steps(standard), lambda: int(time.time())),
                placement=WholePlacement(fake),
                registry=registry,
                metrics=metrics,
                tracer=trace.NoOpTracerProvider().get_tracer("test"),
                sessions=sessions or SessionSettings(),
                decoders=AudioDecoders(AudioSettings(), loop),
                token_leeway_s=leeway_s,
                credit=CreditSettings(),
                resumption=resumption_of(metrics.registry),
            )
        )
        app = web.Application()
        app.router.add_get(PATH, WebSocketTransport(reception).handle)
        app.router.add_get(regions_http.PATH, RegionsHttp(reception).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = grpc.aio.server()
        SpeechService(reception).add_to(server)
        grpc_port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        websocket = f"ws://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        target = f"127.0.0.1:{grpc_port}"
        try:
            async with edge_beside(reception, state / "certificate", **(webtransport or {})) as edge:
                urls = {"ws": websocket, "grpc": target, "webtransport": edge.url}
                yield GatewayInProcess(websocket, target, keys, fake, registry, reception, metrics, edge, urls)
        finally:
            await server.stop(0)
            await runner.cleanup()
